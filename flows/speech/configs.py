"""The configurations of the stages, from the parameters of the main job."""

from __future__ import annotations

from typing import TypeVar, cast

from flows.speech.corpus import Clips
from flows.speech.lists import (
    class_weights,
    control_names,
    detector_names,
    proposer_names,
    training_seeds,
)
from flows.speech.optimizer import optimizer_settings
from flows.speech.parameters import PipelineParameters
from qsm_core.conditions.config import Conditions, RenderSettings
from qsm_core.data.config import PrepareConfig, SelectionConfig, SyntheticConfig
from qsm_core.evaluation.detectors.config import BaselineConfig
from qsm_core.evaluation.scoring.config import EvaluateConfig, FurtherConfig
from qsm_core.evaluation.systems import CROSS_ENTROPY, System
from qsm_core.inference.config import Quantization
from qsm_core.labels import Split
from qsm_core.models.baselines.names import DetectorName
from qsm_core.prompting.config import ControlName, OptimizePrompt, ProposerName
from qsm_core.training.config import LoraTraining

Value = TypeVar("Value")


def clips_of(p: PipelineParameters, needed_splits: tuple[Split, ...] | None) -> Clips:
    """Return where the clips of a run come from.

    Args:
        p: The parameters.
        needed_splits: Splits without which the user's clips are refused; None: those that the
            stages of the main job read.
    """
    return Clips(
        synthetic=SyntheticConfig(
            seed=p.seed,
            train_clips=p.train_clips or 0,
            dev_clips=p.dev_clips or 0,
            test_clips=p.test_clips or 0,
            clip_ms=p.clip_ms,
        ),
        preparation=PrepareConfig(
            seed=p.seed,
            kind=p.data_kind,
            clip_ms=p.clip_ms,
            short_clips=p.short_clips,
            dev_fraction=p.dev_fraction,
            test_fraction=p.test_fraction,
            group_pattern=p.group_pattern,
            own_splits=p.own_splits,
            needed_splits=needed_splits or splits_read(p),
            headroom_db=p.headroom_db,
            selection=SelectionConfig(
                min_snr_db=p.min_snr_db,
                min_duration_ms=p.min_duration_ms,
                min_active_share=p.min_active_share,
                balance_classes=p.balance_classes,
                limit=p.limit,
            ),
        ),
        data=p.data,
        audio_root=p.audio_root,
        test_data=p.test_data,
    )


def splits_read(p: PipelineParameters) -> tuple[Split, ...]:
    """Return the splits that some stage reads, so that a corpus without one is refused."""
    trains = p.adapter is None
    tunes = trains or p.searches or bool(detector_names(p))
    splits: list[Split] = [*(("train",) if trains else ()), *(("dev",) if tunes else ()), "test"]
    return tuple(splits)


def render_settings(p: PipelineParameters) -> RenderSettings:
    """Return what all renderings share."""
    return RenderSettings(seed=p.seed, snr_reference=p.snr_reference)


def training_config(p: PipelineParameters, system: System, conditions: Conditions) -> LoraTraining:
    """Return how the LoRA of a system is trained; its data and noise depend on `seed` alone."""
    return LoraTraining(
        seed=training_seeds(p)[0] if system.seed is None else system.seed,
        data_seed=p.seed,
        loss="cross_entropy" if system.adapter == CROSS_ENTROPY else p.loss,
        focal_gamma=p.focal_gamma,
        class_weights=class_weights(p),
        instructions=(p.instruction,),
        targets=_filled(p.lora_targets, "lora_targets"),
        tune_encoder=p.tune_encoder,
        rank=_filled(p.lora_rank, "lora_rank"),
        alpha=_filled(p.lora_alpha, "lora_alpha"),
        dropout=p.lora_dropout,
        learning_rate=_filled(p.learning_rate, "learning_rate"),
        epochs=_filled(p.epochs, "epochs"),
        warmup_fraction=p.warmup_fraction,
        patience=p.patience,
        gradient_checkpointing=p.gradient_checkpointing,
        effective_batch_size=p.effective_batch_size,
        micro_batch_size=p.micro_batch_size,
        quantization=quantization(p),
        conditions=conditions,
        renderings_per_clip=p.renderings_per_clip,
        snr_reference=p.snr_reference,
        base_model=str(p.model),
    )


def evaluation_config(
    p: PipelineParameters, system: System, conditions: Conditions
) -> EvaluateConfig:
    """Return how a system is evaluated with the first instruction."""
    return EvaluateConfig(
        system=system.name,
        instruction=p.instruction,
        conditions=conditions,
        quantization=quantization(p),
        render=render_settings(p),
    )


def further_config(
    p: PipelineParameters, system: System, conditions: Conditions, asked: tuple[str, ...]
) -> FurtherConfig:
    """Return how a model is evaluated under further instructions."""
    return FurtherConfig(
        system=system.name,
        instruction=p.instruction,
        conditions=conditions,
        quantization=quantization(p),
        render=render_settings(p),
        asked=asked,
        known=("best",),
    )


def detector_config(p: PipelineParameters, name: str, conditions: Conditions) -> BaselineConfig:
    """Return how a plain detector is evaluated."""
    return BaselineConfig(
        detector=cast("DetectorName", name), conditions=conditions, render=render_settings(p)
    )


def search_config(p: PipelineParameters, conditions: Conditions) -> OptimizePrompt:
    """Return how an instruction is searched."""
    return OptimizePrompt(
        seed=p.seed,
        instruction=p.instruction,
        iterations=_filled(p.opro_iterations, "opro_iterations"),
        candidates=p.opro_candidates,
        clips=p.opro_clips,
        budget=p.opro_budget,
        patience=p.opro_patience,
        objective=p.opro_objective,
        length_penalty=p.opro_length_penalty,
        tolerance=p.opro_tolerance,
        block_clips=p.opro_block_clips,
        finalists=p.opro_finalists,
        controls=cast("tuple[ControlName, ...]", tuple(control_names(p))),
        proposers=cast("tuple[ProposerName, ...]", tuple(proposer_names(p))),
        optimizer=optimizer_settings(p),
        conditions=conditions,
        quantization=quantization(p),
        render=render_settings(p),
    )


def quantization(p: PipelineParameters) -> Quantization:
    """Return the quantisation, which the preset has filled in."""
    return _filled(p.quantization, "quantization")


def _filled(value: Value | None, name: str) -> Value:
    """Return a value that the preset fills in."""
    if value is None:
        raise ValueError(f"{name} is empty: parse the parameters first")
    return value
