"""The three verdicts, and what a gate says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qsm_core.statistics.interval import Interval


class Decision(StrEnum):
    """What is known of a gate, or of all of them."""

    PASS = "PASS"  # noqa: S105 - no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """0, 1 and 2, for CI."""
        return list(Decision).index(self)


@dataclass(frozen=True)
class Gate:
    """One gate: its value, and what the cases say of it.

    Args:
        name: valid_baseline, valid_student, baseline_mean or ratio.
        title: In tables.
        value: Of these cases.
        threshold: That the value has to reach.
        point: Whether the value reaches it: PASS or FAIL.
        interval: Of the value, with confidence 1 - 2 alpha, so that each end is a bound at alpha.
        bounds: Whether the interval lies on one side of the threshold.
        cases_needed: About how many cases would decide, if the truth is as these cases look; null
            where it is decided, or where no number would do.
    """

    name: str
    title: str
    value: float
    threshold: float
    point: Decision
    interval: Interval
    bounds: Decision
    cases_needed: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the gate as JSON values."""
        return {
            "name": self.name,
            "title": self.title,
            "value": self.value,
            "threshold": self.threshold,
            "point": str(self.point),
            "interval": self.interval.to_json(),
            "bounds": str(self.bounds),
            "cases_needed": self.cases_needed,
        }


def by_bounds(low: float, high: float, threshold: float) -> Decision:
    """Return PASS above the threshold, FAIL below, INCONCLUSIVE where it lies between."""
    if low >= threshold:
        return Decision.PASS
    return Decision.FAIL if high < threshold else Decision.INCONCLUSIVE


def all_of(decisions: Sequence[Decision]) -> Decision:
    """Return PASS where all pass, FAIL where one fails, INCONCLUSIVE else."""
    if Decision.FAIL in decisions:
        return Decision.FAIL
    return Decision.INCONCLUSIVE if Decision.INCONCLUSIVE in decisions else Decision.PASS


def cases_to_decide(gates: Sequence[Gate]) -> int | None:
    """Return about how many cases would decide all gates; null where it is decided, or none would.

    One gate that fails decides; to pass, all have to.
    """
    if all_of([gate.bounds for gate in gates]) != Decision.INCONCLUSIVE:
        return None
    undecided = [gate for gate in gates if gate.bounds == Decision.INCONCLUSIVE]
    failing = [gate.cases_needed for gate in undecided if gate.point == Decision.FAIL]
    if failing:
        return min((needed for needed in failing if needed is not None), default=None)
    passing = [gate.cases_needed for gate in undecided]
    return None if None in passing else max(needed for needed in passing if needed is not None)
