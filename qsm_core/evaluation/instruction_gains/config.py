"""Configuration of the tables of what searches for instructions gain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.evaluation.analysis.settings import AnalysisSettings


@dataclass(frozen=True)
class InstructionsConfig:
    """What changes the tables.

    Args:
        models: In the order in which they are shown.
        analysis: How intervals and tests are computed.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1)]
    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
