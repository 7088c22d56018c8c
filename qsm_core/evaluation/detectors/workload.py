"""How much work a plain detector has; nothing large is imported here."""

from __future__ import annotations

from collections.abc import Mapping

from qsm_core.data.clip_counts import count_renderings
from qsm_core.evaluation.detectors.config import BaselineConfig
from qsm_core.stage.workload import PlannedInput, Work


def detector_work(config: BaselineConfig, inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the predictions of a plain detector."""
    amount = count_renderings(inputs.get("corpus"), config.split, config.conditions)
    return Work(amount, "predictions")
