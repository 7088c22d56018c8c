"""Train with the largest micro-batch that fits into memory; the effective batch stays the same.

The size starts where the memory account says that a step fits, and falls to the next divisor of
the effective batch each time memory runs out. The training then continues from its last checkpoint,
or from the initial weights if there is none. There are only as many tries as divisors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict

from qsm_core.errors import ModelError
from qsm_core.models.batching import is_out_of_memory
from qsm_core.models.free_memory import free_bytes
from qsm_core.models.loaded_audio_llm import AudioLLM, account_of
from qsm_core.models.memory import LoraShape, gib
from qsm_core.stage.context import StageContext
from qsm_core.training.config import LoraTraining
from qsm_core.training.examples import AnswerExamples
from qsm_core.training.progress import dev_losses, is_exhausted, last_checkpoint, read_state
from qsm_core.training.trainer import TrainingSettings, free_memory, make_trainer

Config = TypeVar("Config", bound=TrainingSettings)

_SAFE_SHARE = 0.9  # of the memory that is free
_DEV_ROWS = 4  # forward passes need less than a training step of the same size


@dataclass(frozen=True)
class Fit:
    """How a training went.

    Attributes:
        history: The log of the Trainer.
        planned_steps: Updates planned.
        micro_batch: Renderings in one forward pass at the end.
        halvings: How often memory ran out.
        reason: Why this micro-batch was chosen.
    """

    history: list[dict[str, Any]]
    planned_steps: int
    micro_batch: int
    halvings: int
    reason: str


def fit(
    llm: AudioLLM,
    config: LoraTraining,
    train: AnswerExamples,
    dev: AnswerExamples,
    context: StageContext,
) -> Fit:
    """Train, or finish a training that was interrupted.

    Raises:
        InterruptedStageError: The training was asked to stop; its last step is a checkpoint.
        ModelError: A step with one rendering does not fit into memory.
    """

    def make(sized: LoraTraining, measure_first: bool) -> Any:
        return make_trainer(
            llm,
            sized,
            train,
            dev,
            context,
            measure_first=measure_first,
            dev_batch=_DEV_ROWS * sized.micro_batch,
        )

    def choose() -> tuple[int, str]:
        return choose_micro_batch(llm, config, train)

    return fit_in_memory(llm.model, config, choose, make, context, unit="clip")


def fit_in_memory(
    model: Any,
    config: Config,
    choose: Callable[[], tuple[int, str]],
    make: Callable[[Config, bool], Any],
    context: StageContext,
    *,
    unit: str,
) -> Fit:
    """Train whatever `make` makes a trainer of; see `fit`.

    Args:
        model: With its adapter.
        config: Of the training, a dataclass with a field micro_batch_size.
        choose: Returns the micro-batch to begin with, and why.
        make: Returns the trainer for a configuration, and whether it measures dev first.
        context: Of the stage.
        unit: What a training example is, such as clip.
    """
    ended = _ended(config, context)
    if ended is not None:
        return Fit(ended["log_history"], ended["max_steps"], config.micro_batch, 0, "not trained")
    first, reason = choose()
    start = {name: value.cpu().clone() for name, value in _adapter_of(model).items()}
    for halvings, size in enumerate(_sizes(config, first)):
        trainer = _attempt(_with_micro_batch(config, size), make, context)
        if trainer is not None:
            state = trainer.state
            return Fit(state.log_history, state.max_steps, size, halvings, reason)
        reason = f"memory ran out with {size}"
        context.report(0, 1, f"memory ran out with {size} {unit}s at once; trying fewer")
        free_memory()
        if last_checkpoint(context.work) is None:
            set_peft_model_state_dict(model, start)
            model.zero_grad(set_to_none=True)
    raise ModelError(
        f"memory ran out on {model.device} with one {unit} at a time: take gradient_checkpointing, "
        f"quantization 'nf4', shorter {unit}s, or a device with more memory"
    )


def choose_micro_batch(
    llm: AudioLLM, config: LoraTraining, train: AnswerExamples
) -> tuple[int, str]:
    """Return how many renderings go through the model at once, and why.

    A size given in the configuration is tried as it is.
    """
    if config.micro_batch_size is not None:
        return config.micro_batch_size, "asked for"
    account = account_of(llm)
    lora = LoraShape(
        config.rank,
        config.targets,
        config.tune_encoder,
        config.dropout,
        config.gradient_checkpointing,
    )
    clip_ms = 40.0 * train.most_audio_tokens
    free = _SAFE_SHARE * free_bytes(llm.device)

    def need(size: int) -> int:
        return account.training(size, clip_ms, lora) - account.weights()

    size = account.largest(_sizes(config, config.micro_batch), free, need)
    return size, f"a step is expected to take {gib(need(size))} of {gib(free)}"


def _ended(config: TrainingSettings, context: StageContext) -> dict[str, Any] | None:
    """Return the state of a training that has nothing left to do, else None."""
    checkpoint = last_checkpoint(context.work)
    if checkpoint is None:
        return None
    state = read_state(checkpoint)
    ended = state["global_step"] >= state["max_steps"]
    exhausted = is_exhausted(dev_losses(state["log_history"]), config.patience)
    return state if ended or exhausted else None


def _attempt(
    config: Config, make: Callable[[Config, bool], Any], context: StageContext
) -> Any | None:
    """Train from the last checkpoint; return the trainer, or None if memory ran out."""
    checkpoint = last_checkpoint(context.work)
    trainer = make(config, checkpoint is None)
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
    return trainer


def _sizes(config: TrainingSettings, first: int) -> Iterator[int]:
    """Yield the divisors of the effective batch from `first` down."""
    total = config.effective_batch_size
    return (size for size in range(first, 0, -1) if total % size == 0)


def _with_micro_batch(config: Config, size: int) -> Config:
    return cast("Config", dataclasses.replace(cast("Any", config), micro_batch_size=size))


def _adapter_of(model: Any) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = get_peft_model_state_dict(model)
    return state
