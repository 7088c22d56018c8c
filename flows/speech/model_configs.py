"""Configurations of the stages that work with a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.speech.listed_values import control_names
from flows.speech.optimizer import optimizer_config
from flows.speech.parameters import PipelineParameters


def rendered(parameters: PipelineParameters) -> dict[str, Any]:
    """Return what all renderings share."""
    return {"seed": parameters.seed, "snr_reference": parameters.snr_reference}


def asked(
    parameters: PipelineParameters, system: str, conditions: Sequence[str] | str
) -> dict[str, Any]:
    """Return what the configurations of all evaluations of a model say."""
    return {
        "system": system,
        "conditions": conditions,
        "quantization": parameters.quantization,
        "render": rendered(parameters),
    }


def trained(
    parameters: PipelineParameters, seed: int, conditions: Sequence[str] | str
) -> dict[str, Any]:
    """Return how LoRA is trained."""
    p = parameters
    return {
        "seed": seed,
        "instructions": [p.instruction],
        "targets": p.lora_targets,
        "tune_encoder": p.tune_encoder,
        "rank": p.lora_rank,
        "alpha": p.lora_alpha,
        "dropout": p.lora_dropout,
        "learning_rate": p.learning_rate,
        "epochs": p.epochs,
        "warmup_fraction": p.warmup_fraction,
        "patience": p.patience,
        "gradient_checkpointing": p.gradient_checkpointing,
        "effective_batch_size": p.effective_batch_size,
        "quantization": p.quantization,
        "conditions": conditions,
        "renderings_per_clip": p.renderings_per_clip,
        "snr_reference": p.snr_reference,
        "base_model": str(p.model),
    }


def searched(parameters: PipelineParameters, conditions: Sequence[str] | str) -> dict[str, Any]:
    """Return how an instruction is searched."""
    p = parameters
    return {
        "seed": p.seed,
        "instruction": p.instruction,
        "iterations": p.opro_iterations,
        "candidates": p.opro_candidates,
        "clips": p.opro_clips,
        "budget": p.opro_budget,
        "patience": p.opro_patience,
        "objective": p.opro_objective,
        "length_penalty": p.opro_length_penalty,
        "alpha": p.opro_alpha,
        "block_clips": p.opro_block_clips,
        "finalists": p.opro_finalists,
        "controls": control_names(p),
        "conditions": conditions,
        "quantization": p.quantization,
        "render": rendered(p),
        **optimizer_config(p),
    }
