"""Configuration of a LoRA training: every field that changes the adapter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from qsm_core.conditions.config import AS_RECORDED, Conditions, RenderSettings, SnrReference
from qsm_core.errors import ConfigurationError
from qsm_core.inference.config import (
    DEFAULT_SYSTEM_PROMPT,
    Instruction,
    Quantization,
    ShortClips,
)
from qsm_core.models.lora_projections import LoraProjections, Targets
from qsm_core.seeding import Seed
from qsm_core.training.micro_batches import MicroBatches, micro_batch_problems

Schedule = Literal["linear", "cosine", "constant_with_warmup"]
TrainedFormat = Literal["auto", "labels", "ab"]  # formats with one answer for each label
Loss = Literal["cross_entropy", "focal"]
_Weight = Annotated[float, Field(gt=0, le=1000)]
ClassWeights = Literal["equal", "balanced"] | tuple[_Weight, _Weight]

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class LoraTraining(MicroBatches):
    """Configuration of the stage `train_lora`.

    Args:
        seed: Seed of the initial weights, the order of clips and dropout.
        instructions: Texts given to the model. Each rendering gets one of them, drawn by clip and
            condition. To train as you evaluate, give the instruction of the evaluation.
        answer_format: "auto", "labels" or "ab"; the answer that is trained is the one scored.
        system_prompt: The system turn.
        targets: Projections of the language model that get LoRA: attention (q, k, v, o), or
            attention and MLP (gate, up, down). "everything": these names wherever they are, so q,
            k, v of the audio encoder too, as the first system had it; "everything+mlp" likewise.
        tune_encoder: Give the same kinds of projections of the audio encoder LoRA too. Then audio
            is encoded in every step instead of once. Not with "everything", which has its own part
            of the encoder.
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
        micro_batch_size: Renderings in one forward pass; divides the effective batch. Null takes
            the largest divisor up to 8.
        gradient_checkpointing: Trade time for memory.
        eval_every_steps: Updates between two dev losses and checkpoints. Null: an epoch, at most
            200.
        patience: End after this many dev losses without a new best; 0: never.
        quantization: "none" or "nf4" (QLoRA).
        conditions: Keys of the conditions in which clips are rendered, "standard", or
            "as_recorded" for clips as they are in the corpus.
        renderings_per_clip: How many of these conditions each clip gets, drawn by the clip's name;
            null for all.
        container_ms: Length of a rendered clip.
        padding_dbfs: Level of the noise around a rendered clip.
        snr_reference: Where SNR is measured.
        short_clips: "refuse", or "pad" clips too short for the model.
        data_seed: Seed of what is trained on: the conditions, noise and instruction of each clip.
            Null: `seed`. Trainings that differ in `seed` alone then hear the same renderings.
        loss: "cross_entropy", or "focal" (Lin et al., arXiv:1708.02002), which gives answers that
            are right already less weight. The dev loss is cross-entropy for both.
        focal_gamma: How strongly; 0 is cross-entropy.
        class_weights: Weights of SPEECH and of NONSPEECH in the training loss: "equal" (1 and 1),
            "balanced" (inverse to the number of renderings, 1 on average), or two numbers.
        base_model: Name of the base model for the adapter's card.

    Raises:
        ConfigurationError: The micro-batch does not divide the effective batch, or both
            "everything" and `tune_encoder` are given.
    """

    largest_micro_batch: ClassVar[int] = 8
    seed: Seed
    instructions: Annotated[tuple[Instruction, ...], Field(min_length=1)]
    answer_format: TrainedFormat = "auto"
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    targets: Targets = "attention"
    tune_encoder: bool = False
    rank: Annotated[int, Field(ge=1, le=512)] = 16
    alpha: Annotated[int, Field(ge=1, le=2048)] = 32
    dropout: Share = 0.05
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    schedule: Schedule = "linear"
    warmup_fraction: Share = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    epochs: Annotated[int, Field(ge=1, le=1000)] = 3
    effective_batch_size: Annotated[int, Field(ge=1, le=4096)] = 16
    micro_batch_size: Count | None = None
    gradient_checkpointing: bool = False
    eval_every_steps: Count | None = None
    patience: Annotated[int, Field(ge=0, le=1000)] = 3
    quantization: Quantization = "none"
    conditions: Conditions = AS_RECORDED
    renderings_per_clip: Annotated[int, Field(ge=1, le=100)] | None = None
    container_ms: Annotated[float, Field(gt=0)] = RenderSettings.container_ms
    padding_dbfs: float = RenderSettings.padding_dbfs
    snr_reference: SnrReference = RenderSettings.snr_reference
    short_clips: ShortClips = "refuse"
    data_seed: Seed | None = None
    loss: Loss = "cross_entropy"
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    class_weights: ClassWeights = "equal"
    base_model: str = "not named"

    def __post_init__(self) -> None:
        problems = training_problems(
            self.targets, self.tune_encoder, self.micro_batch_size, self.effective_batch_size
        )
        if problems:
            raise ConfigurationError("the training cannot start", problems)

    @property
    def seed_of_data(self) -> int:
        """Seed of the conditions, noise and instructions."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def gamma(self) -> float:
        """Exponent of the training loss; 0 for cross-entropy."""
        return self.focal_gamma if self.loss == "focal" else 0.0

    @property
    def projections(self) -> LoraProjections:
        """The projections that get LoRA."""
        return LoraProjections.of(self.targets, tune_encoder=self.tune_encoder)


def training_problems(
    targets: Targets, tune_encoder: bool, micro_batch_size: int | None, effective_batch_size: int
) -> list[str]:
    """List what contradicts itself between these settings of a training."""
    problems = micro_batch_problems(micro_batch_size, effective_batch_size)
    if tune_encoder and targets.startswith("everything"):
        other = targets.replace("everything", "attention")
        problems.append(
            f"tune_encoder = True: {targets!r} has its own part of the audio encoder; leave "
            f"tune_encoder out, or take targets {other!r}"
        )
    return problems


def check_updates(config: LoraTraining, renderings: int) -> None:
    """Refuse a training whose only update is in the warm-up, where the learning rate starts at 0.

    Args:
        config: Configuration of the training.
        renderings: Renderings of the training clips in each epoch.

    Raises:
        ConfigurationError: There would be a single update; the error says how to get more.
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
