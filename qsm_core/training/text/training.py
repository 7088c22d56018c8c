"""Train a LoRA adapter of a text model on pairs of prompt and answer, within a stage.

The output is a plain PEFT adapter with adapter_card.json, README.md and training_log.csv. A stage
that was killed goes on from its last checkpoint and ends with the same bits.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from qsm_core.errors import DataError, ModelError
from qsm_core.models.adapter_files import CONFIG_FILE, WEIGHTS_FILE
from qsm_core.models.text.loading import LoadedTextModel, load_text_model
from qsm_core.seeding import derive_seed
from qsm_core.stage.context import StageContext
from qsm_core.store.digests import digest_folder
from qsm_core.store.layout import VOLATILE_FOLDER
from qsm_core.training.card import TrainingOutcome
from qsm_core.training.fitting import Fit, fit_in_memory
from qsm_core.training.lora_scope import count_parameters
from qsm_core.training.progress import best_step, dev_losses, write_log
from qsm_core.training.text.card import make_text_card, write_text_card
from qsm_core.training.text.config import TextTraining
from qsm_core.training.text.examples import Pair, TextExample, TextExamples, make_example
from qsm_core.training.text.lora import put_text_lora
from qsm_core.training.text.trainer import make_text_trainer, set_threads
from qsm_core.training.trainer import free_memory, seeded

LOG_FILE = "training_log.csv"
_MOST_NAMED = 20


@dataclass(frozen=True)
class Examples:
    """Examples that fit, and the names of those that were left out since they are too long."""

    kept: list[TextExample]
    too_long: tuple[str, ...]


def tokenized(
    loaded: LoadedTextModel, pairs: Sequence[Pair], config: TextTraining, *, leave_out: bool
) -> Examples:
    """Return pairs as examples.

    Args:
        loaded: The model.
        pairs: Prompts with answers.
        config: Its form and `max_tokens` count.
        leave_out: Leave out what is too long; otherwise it is an error.

    Raises:
        DataError: An example is longer than `max_tokens`, or all are; names them.
        ModelError: The model's chat template cannot be used.
    """
    made = [make_example(loaded.model, loaded.tokenizer, pair, config.form) for pair in pairs]
    long = [one for one in made if len(one.token_ids) > config.max_tokens]
    kept = [one for one in made if len(one.token_ids) <= config.max_tokens]
    if long and (not leave_out or not kept):
        problems = [
            f"{one.name}: {len(one.token_ids)} tokens with its answer; max_tokens = "
            f"{config.max_tokens}"
            for one in long[:_MOST_NAMED]
        ]
        if len(long) > _MOST_NAMED:
            problems.append(f"and {len(long) - _MOST_NAMED} more")
        longest = max(len(one.token_ids) for one in long)
        problems.append(f"nothing is cut off: raise max_tokens to {longest}, or leave them out")
        raise DataError("examples are too long", problems)
    return Examples(kept, tuple(one.name for one in long))


def train_adapter(
    context: StageContext,
    config: TextTraining,
    *,
    train: Sequence[Pair],
    dev: Sequence[Pair],
    data: Mapping[str, Any],
    leave_out: bool = False,
) -> dict[str, Any]:
    """Train on pairs, keep the adapter that is best on dev, and write it.

    Args:
        context: Of the stage; its input `model` is the folder of the base model.
        config: Of the training.
        train: To be learned.
        dev: To choose by; of other groups.
        data: What the card says of them: by split, groups and more.
        leave_out: Leave out examples that are too long; otherwise they are an error.

    Returns:
        The outcome, the numbers of examples, the device.

    Raises:
        InterruptedStageError: The training was asked to stop; its last step is a checkpoint.
        DataError: Examples are too long.
        ModelError: The model cannot be used, the training diverged, or the adapter does nothing.
    """
    started = time.monotonic()
    set_threads(context)
    device = str(context.runtime.get("device", "auto"))
    folder = context.inputs["model"]
    loaded = load_text_model(
        folder, quantization=config.quantization, device=device, dtype=config.dtype
    )
    parts = {
        name: tokenized(loaded, pairs, config, leave_out=leave_out)
        for name, pairs in (("train", train), ("dev", dev))
    }
    _check_updates(config, len(parts["train"].kept))
    seeded(derive_seed(config.seed, "adapter"))
    model, scope = put_text_lora(loaded.model, config)
    prepared = time.monotonic()
    fitted = _fit(dataclasses.replace(loaded, model=model), config, parts, context)
    outcome = _outcome(model, fitted)
    counts = {
        name: {
            **data[name],
            "examples": len(part.kept),
            "tokens": sum(len(one.token_ids) for one in part.kept),
            "too_long": len(part.too_long),
        }
        for name, part in parts.items()
    }
    reason = loaded.placement.reason
    del model, loaded
    free_memory()
    card = make_text_card(
        config, outcome, scope=scope, base_digest=digest_folder(folder), data=counts
    )
    write_adapter(context.work / f"best-{outcome.best_step}", context.out, config)
    write_log(context.out / LOG_FILE, fitted.history)
    write_text_card(context.out, card)
    _write_timings(context.out, prepared - started, time.monotonic() - prepared, fitted)
    # As a user loads it, to see that it is complete and not without effect.
    load_text_model(
        folder,
        adapter=context.out,
        quantization=config.quantization,
        device=device,
        dtype=config.dtype,
    )
    return {
        **dataclasses.asdict(outcome),
        "train_examples": counts["train"]["examples"],
        "dev_examples": counts["dev"]["examples"],
        "too_long": sum(one["too_long"] for one in counts.values()),
        "device": reason,
        "micro_batch_size": fitted.micro_batch,
        "memory_ran_out": fitted.halvings,
    }


def write_adapter(best: Path, out: Path, config: TextTraining) -> None:
    """Write weights and settings of a kept adapter in the number format of the output."""
    dtype = getattr(torch, config.stored_dtype)
    weights = load_file(best / WEIGHTS_FILE)
    save_file({name: value.to(dtype) for name, value in weights.items()}, out / WEIGHTS_FILE)
    settings = json.loads((best / CONFIG_FILE).read_text(encoding="utf-8"))
    # PEFT writes the path of the base on this machine; others can only use its name.
    settings["base_model_name_or_path"] = config.base_model
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    (out / CONFIG_FILE).write_text(text, encoding="utf-8")


def _fit(
    loaded: LoadedTextModel,
    config: TextTraining,
    parts: Mapping[str, Examples],
    context: StageContext,
) -> Fit:
    train, dev = (TextExamples(parts[name].kept) for name in ("train", "dev"))

    def make(sized: TextTraining, measure_first: bool) -> Any:
        return make_text_trainer(loaded, sized, train, dev, context, measure_first=measure_first)

    def choose() -> tuple[int, str]:
        return config.micro_batch, "of the configuration"

    return fit_in_memory(loaded.model, config, choose, make, context, unit="example")


def _outcome(model: Any, fitted: Fit) -> TrainingOutcome:
    losses = dev_losses(fitted.history)
    step, loss = best_step(losses)
    trainable, total = count_parameters(model)
    return TrainingOutcome(
        best_step=step,
        best_dev_loss=loss,
        first_dev_loss=losses[0][1],
        steps=losses[-1][0],
        planned_steps=fitted.planned_steps,
        trainable_parameters=trainable,
        all_parameters=total,
    )


def _check_updates(config: TextTraining, examples: int) -> None:
    """Refuse a training whose only update is in the warm-up, with learning rate 0."""
    updates = config.steps or config.epochs * -(-examples // config.effective_batch_size)
    if updates < 2 and config.warmup_fraction > 0:
        raise ModelError(
            f"{examples} examples, effective_batch_size = {config.effective_batch_size} and epochs "
            f"= {config.epochs} give 1 update, and a warm-up begins with learning rate 0: raise "
            "epochs, lower effective_batch_size, or set warmup_fraction = 0"
        )


def _write_timings(out: Path, preparation_s: float, training_s: float, fitted: Fit) -> None:
    folder = out / VOLATILE_FOLDER
    folder.mkdir(exist_ok=True)
    timings = {
        "preparation_s": preparation_s,
        "training_s": training_s,
        "micro_batch_size": fitted.micro_batch,
        "memory_ran_out": fitted.halvings,
    }
    (folder / "timings.json").write_text(json.dumps(timings, indent=2) + "\n", encoding="utf-8")
