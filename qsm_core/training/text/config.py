"""Configuration of the fine-tuning of a text model; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from qsm_core.errors import ConfigurationError
from qsm_core.seeding import Seed
from qsm_core.training.config import Count, Schedule, Share
from qsm_core.training.micro_batches import MicroBatches, micro_batch_problems

TextTargets = Literal["attention", "all-linear"]


@dataclass(frozen=True)
class TextTraining(MicroBatches):
    """How a LoRA adapter of a text model is trained on prompts with answers.

    The loss is the negative log-probability of an answer's tokens and of the end token behind them,
    in nats a token, its mean over the answers; no token of a prompt counts.

    Args:
        seed: Seed of the initial weights, the order of examples and dropout.
        form: chat: the prompt is a user turn in the model's chat template; text: it is given as it
            is. Train as you evaluate.
        max_tokens: Longest example, prompt and answer. Nothing is ever cut off.
        targets: attention: the projections q, k, v and o; all-linear: every linear layer but the
            output.
        rank: LoRA rank.
        alpha: LoRA alpha; the update is scaled by alpha / rank.
        dropout: LoRA dropout.
        learning_rate: Peak learning rate of AdamW.
        schedule: How the learning rate falls after the warm-up.
        warmup_fraction: Share of the steps in which the learning rate rises.
        weight_decay: Of AdamW.
        max_grad_norm: Gradients are scaled down to this norm.
        epochs: Passes over the training examples.
        steps: End after so many updates, whatever `epochs` says; null: all epochs.
        effective_batch_size: Examples in one update.
        micro_batch_size: Examples in one forward pass; divides the effective batch. Null takes the
            largest divisor up to 4.
        gradient_checkpointing: Trade time for memory.
        eval_every_steps: Updates between two dev losses and checkpoints. Null: an epoch, at most
            200.
        patience: End after this many dev losses without a new best; 0: never.
        quantization: "none" or "nf4" (QLoRA).
        dtype: Of the base model's weights: "auto", "float32", "bfloat16" or "float16".
        stored_dtype: Of the adapter that is written; half the bytes in 16 bits.
        base_model: Name of the base model for the adapter's card.

    Raises:
        ConfigurationError: The micro-batch does not divide the effective batch.
    """

    largest_micro_batch: ClassVar[int] = 4
    seed: Seed = 0
    form: Literal["chat", "text"] = "chat"
    max_tokens: Annotated[int, Field(ge=8)] = 4096
    targets: TextTargets = "all-linear"
    rank: Annotated[int, Field(ge=1, le=512)] = 16
    alpha: Annotated[int, Field(ge=1, le=2048)] = 32
    dropout: Share = 0.05
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    schedule: Schedule = "linear"
    warmup_fraction: Share = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    epochs: Annotated[int, Field(ge=1, le=1000)] = 3
    steps: Annotated[int, Field(ge=2)] | None = None
    effective_batch_size: Annotated[int, Field(ge=1, le=4096)] = 8
    micro_batch_size: Count | None = None
    gradient_checkpointing: bool = False
    eval_every_steps: Count | None = None
    patience: Annotated[int, Field(ge=0, le=1000)] = 3
    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    stored_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    base_model: str = "not named"

    def __post_init__(self) -> None:
        problems = micro_batch_problems(self.micro_batch_size, self.effective_batch_size)
        if problems:
            raise ConfigurationError("the training cannot start", problems)
