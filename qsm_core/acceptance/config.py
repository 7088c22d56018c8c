"""What the gates ask for. Nothing heavy is imported here: forms and flows build these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.seeding import Seed

Share = Annotated[float, Field(gt=0, lt=1)]
LevelName = Literal["found", "parses", "mapping", "contract"]


@dataclass(frozen=True)
class GateSettings:
    """Thresholds of the gates, and how sure a verdict has to be.

    Args:
        valid_at_least: Share of the cases with a valid answer, in each arm.
        baseline_at_least: Mean score of the baseline.
        ratio_at_least: Mean score of the student over that of the baseline.
        valid_level: What counts as valid.
        alpha: Chance of a wrong PASS where the truth lies at a threshold, and of a wrong FAIL.
        decide_by: bounds: a gate passes or fails where its bound is beyond the threshold; points:
            where its value is, whatever the number of cases, as in the original evaluation.
        power: Chance of a decision that the number of cases is computed for.
        num_resamples: Of the bootstrap, and of sign flips where they are too many to count.
        seed: Of both.
    """

    valid_at_least: Annotated[float, Field(gt=0, le=1)] = 0.9
    baseline_at_least: Annotated[float, Field(ge=0, le=1)] = 0.75
    ratio_at_least: Annotated[float, Field(gt=0, le=2)] = 0.9
    valid_level: LevelName = "contract"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    decide_by: Literal["bounds", "points"] = "bounds"
    power: Share = 0.8
    num_resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    seed: Seed = 0


@dataclass(frozen=True)
class CaseSelection:
    """Which cases are run; see `cases/selection.py`.

    Args:
        max_cases: The first so many of the order; null for all.
        order: How the cases are ordered first.
        seed: Of the order.
        only: By slice, the values of which cases are taken; empty for all cases.
    """

    max_cases: Annotated[int, Field(ge=1)] | None = None
    order: Literal["by_id", "original", "file"] = "by_id"
    seed: Seed = 42
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)
