"""The paired comparison of two arms under one way of counting failures.

Conventions: N: cases; differences are student minus baseline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.verdict.pairs import FloatArray, Pairs
from qsm_core.seeding import derive_rng
from qsm_core.statistics.exact_signs import MOST_DIFFERENCES, exact_sign_flip
from qsm_core.statistics.interval import Interval, refused
from qsm_core.statistics.ratio import fieller_interval, ratio_bootstrap, ratio_test
from qsm_core.statistics.sign_flip import sign_flip_test

PAIRED_T = "Student's t of the differences"


@dataclass(frozen=True)
class Reading:
    """Means, difference and ratio of two arms on the same cases.

    Args:
        name: failures_as_zero, both_valid or as_scored.
        title: In tables.
        num_cases: How many cases there are.
        baseline: Mean score.
        student: Mean score.
        ratio: Student over baseline; NaN where the baseline has no point.
        difference: Mean difference.
        spread: Standard deviation of the differences (N - 1).
        difference_interval: Student's, of 95 %.
        t_statistic: Of the mean difference.
        t_p_value: Two-sided.
        sign_flip_p_value: Two-sided.
        is_exact: Whether all patterns of signs were counted.
        margin: The ratio that is tested against.
        ratio_statistic: Student's t of student - margin * baseline.
        ratio_p_value: One-sided: that the ratio is above the margin.
        fieller_90: Interval of the ratio.
        fieller_95: Interval of the ratio.
        bootstrap_95: Interval of the ratio.
    """

    name: str
    title: str
    num_cases: int
    baseline: float
    student: float
    ratio: float
    difference: float
    spread: float
    difference_interval: Interval
    t_statistic: float
    t_p_value: float
    sign_flip_p_value: float
    is_exact: bool
    margin: float
    ratio_statistic: float
    ratio_p_value: float
    fieller_90: Interval
    fieller_95: Interval
    bootstrap_95: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the reading as JSON values."""
        values = dict(vars(self))
        return {
            name: value.to_json() if isinstance(value, Interval) else value
            for name, value in values.items()
        }


def readings_of(pairs: Pairs, settings: GateSettings) -> tuple[Reading, ...]:
    """Return the three readings: failures as 0 (the gates'), both valid, all scores as they are.

    The second is left out where fewer than two cases are valid in both arms.
    """
    baseline_valid, student_valid = pairs.valid
    both = pairs.only(baseline_valid & student_valid)
    ways = [
        ("failures_as_zero", "failures as 0", pairs.points),
        ("both_valid", "valid in both arms", both.points),
        ("as_scored", "all scores as they are, valid or not", pairs.stored),
    ]
    return tuple(
        reading(name, title, *scores, settings=settings)
        for name, title, scores in ways
        if len(scores[0]) >= 2
    )


def reading(
    name: str, title: str, baseline: FloatArray, student: FloatArray, *, settings: GateSettings
) -> Reading:
    """Compare two arms on the same cases.

    Args:
        name: Of the way of counting.
        title: In tables.
        baseline: Scores, (N,), with N of 2 or more.
        student: Scores, (N,).
        settings: Margin of the ratio, resamples and seed.
    """
    differences = student - baseline
    count, mean, spread = (
        len(differences),
        float(differences.mean()),
        float(differences.std(ddof=1)),
    )
    test = ratio_test(student, baseline, settings.ratio_at_least)
    statistic = _over(mean, spread / math.sqrt(count))
    p_value, is_exact = sign_flip_p(differences, settings)
    old = float(baseline.mean())
    return Reading(
        name=name,
        title=title,
        num_cases=count,
        baseline=old,
        student=float(student.mean()),
        ratio=float(student.mean()) / old if old > 0 else float("nan"),
        difference=mean,
        spread=spread,
        difference_interval=mean_interval(differences),
        t_statistic=statistic,
        t_p_value=float(2 * stdtr(count - 1, -abs(statistic))),
        sign_flip_p_value=p_value,
        is_exact=is_exact,
        margin=settings.ratio_at_least,
        ratio_statistic=test.statistic,
        ratio_p_value=test.p_value,
        fieller_90=fieller_interval(student, baseline, confidence=0.9),
        fieller_95=fieller_interval(student, baseline, confidence=0.95),
        bootstrap_95=ratio_bootstrap(
            student,
            baseline,
            num_resamples=settings.num_resamples,
            rng=derive_rng(settings.seed, "acceptance", "bootstrap", name),
        ),
    )


def sign_flip_p(differences: FloatArray, settings: GateSettings) -> tuple[float, bool]:
    """Return the p-value of the sign-flip test, and whether all patterns were counted."""
    if np.count_nonzero(differences) <= MOST_DIFFERENCES:
        return exact_sign_flip(differences), True
    count = len(differences)
    result = sign_flip_test(
        differences / count,
        strata=np.zeros(count, dtype=np.int64),
        shares=np.full(count, 1 / count),
        num_permutations=settings.num_resamples,
        rng=derive_rng(settings.seed, "acceptance", "signs"),
    )
    return result.p_value, False


def mean_interval(values: FloatArray, confidence: float = 0.95) -> Interval:
    """Return Student's interval of a mean."""
    if len(values) < 2:
        return refused("one case alone does not vary", confidence=confidence, method=PAIRED_T)
    reach = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    reach *= float(values.std(ddof=1)) / math.sqrt(len(values))
    if reach == 0:
        return refused("the cases do not vary", confidence=confidence, method=PAIRED_T)
    mean = float(values.mean())
    return Interval(mean - reach, mean + reach, confidence, PAIRED_T)


def _over(mean: float, error: float) -> float:
    if error > 0:
        return mean / error
    return math.copysign(math.inf, mean) if mean else 0.0
