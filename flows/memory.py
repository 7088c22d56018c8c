"""Does the model fit? Told in the plan, and before anything is queued where it can be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.machine import has_gpu, model_memory_bytes
from flows.parameters import PipelineParameters
from qsm_core.errors import ConfigurationError
from qsm_core.models.memory import Device, LoraShape, MemoryPlan, gib, plan_memory
from qsm_core.models.shape import ModelShape
from tasks.profile_files import LOCAL

_CONTAINER_MS = 2000.0  # what a rendered clip is set into


def planned_memory(parameters: PipelineParameters, model: Path) -> MemoryPlan:
    """Predict the peaks of scoring and of training with these parameters.

    On a cluster the device is not known here, and nothing is said to be too large for it.

    Raises:
        ModelError: The model's folder has no configuration.
    """
    p = parameters
    local = p.cluster == LOCAL
    device: Device = "cuda" if not local or has_gpu(p.device) else "cpu"
    lora = LoraShape(
        rank=p.lora_rank or 1,
        targets=p.lora_targets,
        include_encoder=p.tune_encoder,
        dropout=p.lora_dropout,
        gradient_checkpointing=p.gradient_checkpointing,
    )
    return plan_memory(
        ModelShape.read(model),
        quantization=str(p.quantization),
        clip_ms=float(p.clip_ms) if p.conditions == "as_recorded" else _CONTAINER_MS,
        lora=lora,
        device=device,
        scoring_batch=p.batch_size,
        effective_batch=p.effective_batch_size,
        available_bytes=model_memory_bytes(p.device) if local else None,
    )


def check_memory(parameters: PipelineParameters, plan: MemoryPlan) -> None:
    """Refuse a model that cannot fit, whatever the batch.

    Raises:
        ConfigurationError: Says what it needs, what is there, and what to do.
    """
    trains = parameters.adapter is None
    problems = [text for text in plan.problems if trains or not text.startswith("training")]
    if problems:
        raise ConfigurationError(f"model {parameters.model!r} does not fit", problems)


def memory_rows(plan: MemoryPlan) -> list[dict[str, Any]]:
    """Return the prediction as rows of a table."""
    there = "not known here" if plan.available is None else gib(plan.available)
    rows = [
        ("weights", plan.weights, ""),
        ("scoring", plan.scoring, f"{plan.scoring_batch} clips at once"),
        ("training", plan.training, f"{plan.micro_batch} clips at once"),
    ]
    return [
        {"what": what, "predicted peak": gib(size), "with": batch, "there": there}
        for what, size, batch in rows
    ]
