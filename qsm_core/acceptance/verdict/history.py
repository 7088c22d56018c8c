"""Any number of runs in one table, in the order of time, each against one reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.results.outcomes import Arm
from qsm_core.acceptance.verdict.arms import summary_of
from qsm_core.acceptance.verdict.decisions import Decision, all_of
from qsm_core.acceptance.verdict.gates import gates_of
from qsm_core.acceptance.verdict.pairs import pair_up
from qsm_core.acceptance.verdict.readings import mean_interval
from qsm_core.errors import DataError
from qsm_core.json_values import to_json_values
from qsm_core.statistics.interval import Interval
from qsm_core.statistics.proportions import exact_interval


@dataclass(frozen=True)
class RunRow:
    """One run; what compares is on the cases that it shares with the reference.

    Args:
        name: Of the run.
        timestamp: Null where not known; such runs come last.
        model: Of the run.
        adapter: Of the run.
        num_cases: All of its cases.
        valid: Valid answers.
        valid_interval: Of their share, exact, 95 %.
        mean: Score, failures as 0.
        mean_of_valid: NaN where none is valid.
        common: Cases shared with the reference.
        ratio: Mean over that of the reference; null for the reference itself.
        ratio_interval: With confidence 1 - 2 alpha.
        difference: Mean difference to the reference.
        difference_interval: Student's t, 95 %.
        by_points: Verdict of the values, with the reference as baseline.
        by_bounds: Verdict of the bounds.
    """

    name: str
    timestamp: str | None
    model: str | None
    adapter: str | None
    num_cases: int
    valid: int
    valid_interval: Interval
    mean: float
    mean_of_valid: float
    common: int
    ratio: float | None = None
    ratio_interval: Interval | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    by_points: Decision | None = None
    by_bounds: Decision | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        values = {
            name: value.to_json() if isinstance(value, Interval) else value
            for name, value in vars(self).items()
        }
        row: dict[str, Any] = to_json_values(values)
        return row


def compare_runs(
    arms: Sequence[Arm], settings: GateSettings, *, reference: str | None = None
) -> tuple[RunRow, ...]:
    """Return one row a run, in the order of their timestamps.

    Args:
        arms: The runs; names must differ.
        settings: Thresholds.
        reference: Name of the run that the others are compared with; null: the first that is given.

    Raises:
        DataError: Two runs have one name, there is no such reference, or a run shares fewer than
            two cases with it.
    """
    names = [arm.name for arm in arms]
    problems = [f"two runs have the name {n!r}" for n in sorted({*names}) if names.count(n) > 1]
    if reference is not None and reference not in names:
        problems.append(f"reference = {reference!r}: there is no such run; use {', '.join(names)}")
    if not arms:
        problems.append("there is no run")
    if problems:
        raise DataError("the runs cannot be compared", problems)
    base = arms[0] if reference is None else arms[names.index(reference)]
    ordered = sorted(arms, key=lambda arm: (arm.timestamp is None, arm.timestamp or ""))
    return tuple(_row(arm, base, settings) for arm in ordered)


def _row(arm: Arm, base: Arm, settings: GateSettings) -> RunRow:
    level = Level.named(settings.valid_level)
    summary = summary_of(arm, arm.outcomes, level)
    row = RunRow(
        name=arm.name,
        timestamp=arm.timestamp,
        model=arm.model,
        adapter=arm.adapter,
        num_cases=summary.num_cases,
        valid=summary.valid,
        valid_interval=exact_interval(summary.valid, summary.num_cases),
        mean=summary.mean,
        mean_of_valid=summary.mean_of_valid,
        common=summary.num_cases,
    )
    if arm is base:
        return row
    pairs = pair_up(base, arm, level)
    gates = gates_of(pairs, settings)
    old, new = pairs.points
    ratio = gates[-1]
    return RunRow(
        **{
            **vars(row),
            "common": len(pairs),
            "ratio": ratio.value,
            "ratio_interval": ratio.interval,
            "difference": float((new - old).mean()),
            "difference_interval": mean_interval(new - old),
            "by_points": all_of([gate.point for gate in gates]),
            "by_bounds": all_of([gate.bounds for gate in gates]),
        }
    )
