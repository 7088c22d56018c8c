"""What a LoRA training is told: every field that changes the adapter."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from qsm_core.conditions.rendering import SnrReference
from qsm_core.errors import ConfigurationError
from qsm_core.inference.prompt import DEFAULT_SYSTEM_PROMPT

Targets = Literal["attention", "attention+mlp"]
Schedule = Literal["linear", "cosine", "constant_with_warmup"]
_LARGEST_MICRO_BATCH = 8


@dataclass(frozen=True)
class LoraTraining:
    """Configuration of the stage `train_lora`.

    Args:
        seed: Of the initial weights, the order of clips, dropout, conditions and instructions.
        instructions: What the model is asked. Each rendering gets one of them, drawn by clip and
            condition. To train as you evaluate, give the instruction of the evaluation.
        answer_format: "auto", "labels" or "ab"; the answer that is trained is the one scored.
        system_prompt: The system turn.
        targets: Projections of the language model that get LoRA: attention (q, k, v, o), or
            attention and MLP (gate, up, down).
        include_encoder: Give the same kinds of projections of the audio encoder LoRA too. Then
            audio is encoded in every step instead of once.
        rank: LoRA rank.
        alpha: LoRA alpha; the update is scaled by alpha / rank.
        dropout: LoRA dropout.
        learning_rate: Peak learning rate of AdamW.
        schedule: How the learning rate falls after the warm-up.
        warmup_fraction: Share of the steps in which the learning rate rises.
        weight_decay: Of AdamW.
        max_grad_norm: Gradients are scaled down to this norm.
        epochs: Passes over the training renderings.
        effective_batch_size: Renderings in one update.
        micro_batch_size: Renderings in one forward pass; divides the effective batch. None takes
            the largest divisor up to 8.
        gradient_checkpointing: Trade time for memory.
        eval_every_steps: Updates between two dev losses and checkpoints. None: an epoch, at most
            200.
        patience: Stop after so many dev losses without a new best; None never stops early.
        quantization: "none" or "nf4" (QLoRA).
        augment: Keys of the conditions in which clips are rendered; empty takes the clips as they
            are in the corpus.
        renderings_per_clip: How many of these conditions each clip gets, drawn by the clip's name;
            None for all.
        container_ms: Length of a rendered clip.
        padding_dbfs: Level of the noise around a rendered clip.
        snr_reference: Where SNR is measured.
        short_clips: "refuse", or "pad" clips too short for the model.
        base_model: Name of the base model for the adapter's card.
    """

    seed: int
    instructions: tuple[str, ...]
    answer_format: str = "auto"
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    targets: Targets = "attention"
    include_encoder: bool = False
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    learning_rate: float = 2e-4
    schedule: Schedule = "linear"
    warmup_fraction: float = 0.05
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    epochs: int = 3
    effective_batch_size: int = 16
    micro_batch_size: int | None = None
    gradient_checkpointing: bool = False
    eval_every_steps: int | None = None
    patience: int | None = 3
    quantization: Literal["none", "nf4"] = "none"
    augment: tuple[str, ...] = ()
    renderings_per_clip: int | None = None
    container_ms: float = 2000.0
    padding_dbfs: float = -80.0
    snr_reference: SnrReference = "clip"
    short_clips: Literal["refuse", "pad"] = "refuse"
    base_model: str = "not named"

    @property
    def micro_batch(self) -> int:
        """Renderings in one forward pass."""
        if self.micro_batch_size is not None:
            return self.micro_batch_size
        sizes = range(1, min(self.effective_batch_size, _LARGEST_MICRO_BATCH) + 1)
        return max(size for size in sizes if self.effective_batch_size % size == 0)

    @property
    def accumulation_steps(self) -> int:
        """Forward passes in one update."""
        return self.effective_batch_size // self.micro_batch


def check_training(config: LoraTraining) -> None:
    """Refuse values that cannot work, all of them at once.

    Raises:
        ConfigurationError: Names every such field, its value and what is allowed.
    """
    problems = [*_number_problems(config), *_batch_problems(config)]
    if not config.instructions:
        problems.append("instructions: there is none; give at least one")
    if config.answer_format not in ("auto", "labels", "ab"):
        problems.append(
            f"answer_format = {config.answer_format!r}: training needs one answer a label; "
            "allowed are 'auto', 'labels', 'ab'"
        )
    if problems:
        raise ConfigurationError("the training cannot start", problems)


def check_updates(config: LoraTraining, renderings: int) -> None:
    """Refuse a training of one update in a warm-up, whose learning rate begins at 0.

    Args:
        config: Of the training.
        renderings: Of the training clips, heard in each epoch.

    Raises:
        ConfigurationError: Says what would give more updates.
    """
    updates = math.ceil(renderings / config.effective_batch_size) * config.epochs
    if updates > 1 or config.warmup_fraction == 0:
        return
    problem = (
        f"{renderings} renderings of training clips, effective_batch_size = "
        f"{config.effective_batch_size} and epochs = {config.epochs} give 1 update, and a warm-up "
        "begins with learning rate 0: raise epochs or renderings_per_clip, lower "
        "effective_batch_size, or set warmup_fraction = 0"
    )
    raise ConfigurationError("the training would change nothing", [problem])


def _number_problems(config: LoraTraining) -> Iterator[str]:
    for name in ("rank", "alpha", "epochs", "effective_batch_size"):
        if getattr(config, name) < 1:
            yield f"{name} = {getattr(config, name)}: at least 1"
    for name in ("eval_every_steps", "patience", "renderings_per_clip", "micro_batch_size"):
        value = getattr(config, name)
        if value is not None and value < 1:
            yield f"{name} = {value}: at least 1, or null"
    for name in ("dropout", "warmup_fraction"):
        if not 0 <= getattr(config, name) < 1:
            yield f"{name} = {getattr(config, name)}: from 0 to below 1"
    for name in ("learning_rate", "max_grad_norm", "container_ms"):
        if not getattr(config, name) > 0:
            yield f"{name} = {getattr(config, name)}: above 0"
    if config.weight_decay < 0:
        yield f"weight_decay = {config.weight_decay}: 0 or more"


def _batch_problems(config: LoraTraining) -> Iterator[str]:
    micro = config.micro_batch_size
    if micro is not None and micro >= 1 and config.effective_batch_size % micro:
        yield (
            f"micro_batch_size = {micro}: has to divide "
            f"effective_batch_size = {config.effective_batch_size}"
        )
