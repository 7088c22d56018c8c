"""The ratio of two means of the same cases: Fieller's interval and the paired bootstrap.

Conventions: N: cases; the numerator is the new system, the denominator the old one.

References: E. Fieller, "Some problems in interval estimation", JRSS B 16 (1954) 175-185;
B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from qsm_core.statistics.bootstrap import draw_weights, percentile_interval
from qsm_core.statistics.few_groups import freedom_of
from qsm_core.statistics.interval import Interval, check_confidence, refused

FloatArray = npt.NDArray[np.float64]

FIELLER = "Fieller"
BOOTSTRAP = "paired bootstrap, expanded percentile"


class RatioTest(NamedTuple):
    """Student's one-sided test that a ratio of means exceeds a margin."""

    statistic: float
    p_value: float
    degrees: int


def fieller_interval(
    numerator: npt.ArrayLike, denominator: npt.ArrayLike, *, confidence: float = 0.95
) -> Interval:
    """Return the ratios r for which the mean of numerator - r denominator may be 0.

    With means m, covariances s and t the quantile of Student's distribution these are the r with

        (m_n - r m_d)^2 <= t^2 (s_nn - 2 r s_nd + r^2 s_dd) / N.

    Args:
        numerator: One value a case, shape (N,).
        denominator: One value a case, shape (N,), in the same order.
        confidence: Of the interval.

    Raises:
        ValueError: The shapes differ, there is a single case, or one is not finite.
    """
    check_confidence(confidence)
    over, under = _pairs(numerator, denominator)
    count = len(over)
    covariance = np.cov(over, under)
    reach = float(stdtrit(count - 1, (1 + confidence) / 2)) ** 2 / count
    square = under.mean() ** 2 - reach * covariance[1, 1]
    if not square > 0:
        reason = "the mean of the denominator is not known to differ from 0"
        return refused(reason, confidence=confidence, method=FIELLER)
    middle = over.mean() * under.mean() - reach * covariance[0, 1]
    rest = over.mean() ** 2 - reach * covariance[0, 0]
    # Below 0 by rounding alone, where the pairs do not vary.
    width = math.sqrt(max(0.0, middle**2 - square * rest))
    low, high = (middle - width) / square, (middle + width) / square
    return Interval(float(low), float(high), confidence, FIELLER)


def ratio_bootstrap(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    rng: np.random.Generator,
) -> Interval:
    """Return the interval of a ratio of means over resampled cases, pairs kept together.

    Raises:
        ValueError: As `fieller_interval`.
    """
    check_confidence(confidence)
    over, under = _pairs(numerator, denominator)
    strata = np.zeros(len(over), dtype=np.int64)
    both = np.column_stack([over, under])
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [
            weights @ both for weights in draw_weights(strata, num_resamples=num_resamples, rng=rng)
        ]
        sums = np.concatenate(parts)
        ratios = np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)
    tail = freedom_of(strata).tail(confidence)
    interval = percentile_interval(ratios, confidence=confidence, tail=tail)
    return Interval(
        interval.low, interval.high, confidence, BOOTSTRAP, interval.reason, interval.note
    )


def ratio_test(numerator: npt.ArrayLike, denominator: npt.ArrayLike, margin: float) -> RatioTest:
    """Test that the ratio of means exceeds `margin`: Student's t of numerator - margin denominator.

    It rejects at level alpha exactly where Fieller's interval of confidence 1 - 2 alpha, where
    there is one, lies above the margin.

    Raises:
        ValueError: As `fieller_interval`.
    """
    over, under = _pairs(numerator, denominator)
    values = over - margin * under
    degrees = len(values) - 1
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    if error <= 1e-15 * max(1.0, abs(mean)):
        # Pairs that do not vary at all: known, as far as the pairs say.
        statistic = math.copysign(math.inf, mean) if abs(mean) > 1e-12 else 0.0
    else:
        statistic = mean / error
    return RatioTest(statistic, float(stdtr(degrees, -statistic)), degrees)


def _pairs(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    over = np.asarray(numerator, dtype=np.float64)
    under = np.asarray(denominator, dtype=np.float64)
    if over.shape != under.shape or over.ndim != 1 or len(over) < 2:
        raise ValueError(f"shapes {over.shape} and {under.shape}: give two or more pairs")
    if not (np.all(np.isfinite(over)) and np.all(np.isfinite(under))):
        raise ValueError("every value must be finite")
    return over, under
