"""Configuration of a report on speech detection: its title, and how clips were rendered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from qsm_core.conditions.config import AS_RECORDED, Conditions, RenderSettings


@dataclass(frozen=True)
class ReportConfig:
    """What changes a report.

    Args:
        title: Heading of the page.
        conditions: In which the systems heard the clips: keys, or "as_recorded".
        render: How the conditions were rendered.
        searches: Models for which an instruction was searched; input `opro_<model>` of each.
        trainings: Models that were trained; input `train_<model>` of each.
        provenance: More JSON values to show in the run card.
    """

    title: str = "Speech detection with an audio language model"
    conditions: Conditions = AS_RECORDED
    render: RenderSettings = field(default_factory=RenderSettings)
    searches: tuple[str, ...] = ()
    trainings: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
