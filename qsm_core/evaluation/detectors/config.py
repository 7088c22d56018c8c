"""Configuration of the evaluation of a plain detector."""

from __future__ import annotations

from dataclasses import dataclass, field

from qsm_core.conditions.config import STANDARD, Conditions, RenderSettings
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.labels import Split
from qsm_core.models.baselines.names import DetectorName


@dataclass(frozen=True)
class BaselineConfig:
    """What changes the predictions.

    Args:
        detector: "silero", "webrtc" or "energy".
        split: Which clips are predicted; null for all.
        conditions: Condition keys (and "clean"), "standard", or "as_recorded".
        render: What all renderings share.
        bootstrap: How the intervals in metrics.json are computed.
    """

    detector: DetectorName
    split: Split | None = "test"
    conditions: Conditions = STANDARD
    render: RenderSettings = field(default_factory=RenderSettings)
    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)
