"""What one arm did: how far its answers get, at once and after retries, and what went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.results.outcomes import Arm, Outcome
from qsm_core.statistics.interval import Interval
from qsm_core.statistics.proportions import exact_interval

LEVELS = (Level.FOUND, Level.PARSES, Level.MAPPING, Level.CONTRACT)


@dataclass(frozen=True)
class LevelRow:
    """How many cases of an arm reach a level, at the first attempt and after all."""

    arm: str
    level: str
    num_cases: int
    at_first: int
    in_the_end: int
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {**vars(self), "interval": self.interval.to_json()}


@dataclass(frozen=True)
class ArmSummary:
    """One arm in numbers.

    Args:
        name: Of the arm.
        num_cases: How many it has.
        valid: Valid answers.
        mean: Score with failures as 0.
        mean_of_valid: NaN where none is valid.
        spread_of_valid: Population standard deviation, as in the original's files.
        attempts: Of all cases together.
        reasons: Codes of what went wrong, with how often.
        content: Mean of each measure over the cases for which it is defined.
        seconds: Of all attempts together; null where not known.
        completion_tokens: Of all attempts together; null where not known.
        is_constrained: A grammar made the form of the answers.
    """

    name: str
    num_cases: int
    valid: int
    mean: float
    mean_of_valid: float
    spread_of_valid: float
    attempts: int
    reasons: dict[str, int]
    content: dict[str, float]
    seconds: float | None
    completion_tokens: int | None
    is_constrained: bool


def level_rows(name: str, outcomes: Sequence[Outcome]) -> list[LevelRow]:
    """Return how many cases of an arm reach each level."""
    rows = []
    for level in LEVELS:
        reached = sum(outcome.level >= level for outcome in outcomes)
        first = sum(outcome.first_level >= level for outcome in outcomes)
        interval = exact_interval(reached, len(outcomes))
        rows.append(LevelRow(name, level.label, len(outcomes), first, reached, interval))
    return rows


def summary_of(arm: Arm, outcomes: Sequence[Outcome], level: Level) -> ArmSummary:
    """Return an arm in numbers, over some of its cases."""
    points = np.array([outcome.points(level) for outcome in outcomes])
    valid = np.array([outcome.counts(level) for outcome in outcomes], dtype=np.bool_)
    seconds = [one.seconds for one in outcomes if one.seconds is not None]
    tokens = [one.completion_tokens for one in outcomes if one.completion_tokens is not None]
    measures: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.content.items():
            if value is not None:
                measures.setdefault(name, []).append(value)
    some = bool(valid.any())
    return ArmSummary(
        name=arm.name,
        num_cases=len(outcomes),
        valid=int(valid.sum()),
        mean=float(points.mean()),
        mean_of_valid=float(points[valid].mean()) if some else float("nan"),
        spread_of_valid=float(points[valid].std()) if some else float("nan"),
        attempts=sum(outcome.attempts for outcome in outcomes),
        reasons=dict(Counter(one.reason for one in outcomes if one.reason).most_common()),
        content={name: float(np.mean(values)) for name, values in measures.items()},
        seconds=sum(seconds) if seconds else None,
        completion_tokens=sum(tokens) if tokens else None,
        is_constrained=any(outcome.is_constrained for outcome in outcomes),
    )
