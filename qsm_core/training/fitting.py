"""Train with the largest micro-batch that fits into memory; the effective batch stays the same.

The size starts where the memory account says that a step fits, and falls to the next divisor of
the effective batch each time memory runs out. The training then continues from its last checkpoint,
or from the initial weights if there is none. There are only as many tries as divisors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
from qsm_core.training.trainer import free_memory, make_trainer

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
    ended = _ended(config, context)
    if ended is not None:
        return Fit(ended["log_history"], ended["max_steps"], config.micro_batch, 0, "not trained")
    first, reason = choose_micro_batch(llm, config, train)
    start = {name: value.cpu().clone() for name, value in _adapter_of(llm).items()}
    for halvings, size in enumerate(_sizes(config, first)):
        trainer = _attempt(llm, _with_micro_batch(config, size), train, dev, context)
        if trainer is not None:
            state = trainer.state
            return Fit(state.log_history, state.max_steps, size, halvings, reason)
        reason = f"memory ran out with {size}"
        context.report(0, 1, f"memory ran out with {size} clips at once; trying fewer")
        free_memory()
        if last_checkpoint(context.work) is None:
            set_peft_model_state_dict(llm.model, start)
            llm.model.zero_grad(set_to_none=True)
    raise ModelError(
        f"memory ran out on {llm.device} with one clip at a time: take gradient_checkpointing, "
        "quantization 'nf4', shorter clips, or a device with more memory"
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


def _ended(config: LoraTraining, context: StageContext) -> dict[str, Any] | None:
    """Return the state of a training that has nothing left to do, else None."""
    checkpoint = last_checkpoint(context.work)
    if checkpoint is None:
        return None
    state = read_state(checkpoint)
    ended = state["global_step"] >= state["max_steps"]
    exhausted = is_exhausted(dev_losses(state["log_history"]), config.patience)
    return state if ended or exhausted else None


def _attempt(
    llm: AudioLLM,
    config: LoraTraining,
    train: AnswerExamples,
    dev: AnswerExamples,
    context: StageContext,
) -> Any | None:
    """Train from the last checkpoint; return the trainer, or None if memory ran out."""
    checkpoint = last_checkpoint(context.work)
    trainer = make_trainer(
        llm,
        config,
        train,
        dev,
        context,
        measure_first=checkpoint is None,
        dev_batch=_DEV_ROWS * config.micro_batch,
    )
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return None
    return trainer


def _sizes(config: LoraTraining, first: int) -> Iterator[int]:
    """Yield the divisors of the effective batch from `first` down."""
    total = config.effective_batch_size
    return (size for size in range(first, 0, -1) if total % size == 0)


def _with_micro_batch(config: LoraTraining, size: int) -> LoraTraining:
    return dataclasses.replace(config, micro_batch_size=size)


def _adapter_of(llm: AudioLLM) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = get_peft_model_state_dict(llm.model)
    return state
