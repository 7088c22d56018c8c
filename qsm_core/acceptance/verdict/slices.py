"""The same comparison within each slice: by tier, or by any other column of the cases.

Slices are small, so what they show is a hint. The p-values of one column are corrected together
(Holm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.verdict.pairs import BoolArray, Pairs
from qsm_core.acceptance.verdict.readings import mean_interval, sign_flip_p
from qsm_core.statistics.interval import Interval
from qsm_core.statistics.mcnemar import mcnemar_exact
from qsm_core.statistics.multiplicity import holm
from qsm_core.statistics.proportions import exact_interval


@dataclass(frozen=True)
class SliceRow:
    """One slice; means have failures as 0, `..._of_valid` are of the valid answers alone.

    Args:
        column: Such as tier.
        value: Such as simple.
        num_cases: In the slice.
        baseline_valid: Valid answers.
        student_valid: Valid answers.
        baseline_valid_interval: Of their share, exact, 95 %.
        student_valid_interval: Of their share, exact, 95 %.
        baseline: Mean score.
        student: Mean score.
        baseline_of_valid: NaN where none is valid.
        student_of_valid: NaN where none is valid.
        ratio: Student over baseline.
        difference: Mean of student minus baseline.
        difference_interval: Student's t, 95 %.
        sign_flip_p_value: Two-sided, as it is.
        corrected_p_value: The same, corrected for the values of the column.
        mcnemar_p_value: Of the validity of both arms.
    """

    column: str
    value: str
    num_cases: int
    baseline_valid: int
    student_valid: int
    baseline_valid_interval: Interval
    student_valid_interval: Interval
    baseline: float
    student: float
    baseline_of_valid: float
    student_of_valid: float
    ratio: float
    difference: float
    difference_interval: Interval
    sign_flip_p_value: float
    corrected_p_value: float
    mcnemar_p_value: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            name: value.to_json() if isinstance(value, Interval) else value
            for name, value in vars(self).items()
        }


def slice_rows(pairs: Pairs, settings: GateSettings) -> tuple[SliceRow, ...]:
    """Return the rows of all columns that tell cases apart, in alphabetical order."""
    slices = [pairs.slices(case) for case in range(len(pairs))]
    rows: list[SliceRow] = []
    for column in sorted({name for one in slices for name in one}):
        values = np.array([one.get(column, "") for one in slices])
        parts = {value: values == value for value in sorted(set(values)) if value}
        raw = [_p_value(pairs.only(cases), settings) for cases in parts.values()]
        corrected = holm(raw)
        rows += [
            _row(pairs.only(cases), column, str(value), p, float(after))
            for (value, cases), p, after in zip(parts.items(), raw, corrected, strict=True)
        ]
    return tuple(rows)


def _p_value(pairs: Pairs, settings: GateSettings) -> float:
    baseline, student = pairs.points
    return sign_flip_p(student - baseline, settings)[0]


def _row(pairs: Pairs, column: str, value: str, p_value: float, corrected: float) -> SliceRow:
    baseline, student = pairs.points
    baseline_valid, student_valid = pairs.valid
    mean = float(baseline.mean())
    return SliceRow(
        column=column,
        value=value,
        num_cases=len(pairs),
        baseline_valid=int(baseline_valid.sum()),
        student_valid=int(student_valid.sum()),
        baseline_valid_interval=_share(baseline_valid),
        student_valid_interval=_share(student_valid),
        baseline=mean,
        student=float(student.mean()),
        baseline_of_valid=_mean(baseline[baseline_valid]),
        student_of_valid=_mean(student[student_valid]),
        ratio=float(student.mean()) / mean if mean > 0 else float("nan"),
        difference=float((student - baseline).mean()),
        difference_interval=mean_interval(student - baseline),
        sign_flip_p_value=p_value,
        corrected_p_value=corrected,
        mcnemar_p_value=mcnemar_exact(baseline_valid, student_valid).p_value,
    )


def _share(valid: BoolArray) -> Interval:
    return exact_interval(int(valid.sum()), len(valid))


def _mean(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(values.mean()) if len(values) else float("nan")
