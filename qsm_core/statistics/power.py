"""What a comparison could have found: minimum detectable effect, pairs needed, non-inferiority.

References: R. Connor, Biometrics 43 (1987) 207-211 (pairs of a McNemar test); E. Miller, "Adding
Error Bars to Evals", arXiv 2411.00640 (2024) (clustered standard errors and power of evaluations);
ICH E9, "Statistical Principles for Clinical Trials" (1998) (non-inferiority by interval).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from statistics import NormalDist

from scipy.special import nctdtr, stdtrit


class Verdict(StrEnum):
    """What the interval of a difference (second minus first) says."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same answers"
    NOT_WORSE = "not worse"
    UNDECIDED = "undecided"


def verdict_of(
    low: float, high: float, *, p_value: float, margin: float | None, alpha: float = 0.05
) -> Verdict:
    """Say what a difference is, where a higher value is better.

    Better or worse: the interval leaves out zero and the (corrected) p-value is below `alpha`. Not
    worse: the interval lies above -margin, so a loss of the margin or more is ruled out. All else
    is undecided, which is not the same as equal. Systems that gave the same answers have no
    difference to be tested: the caller, who sees the answers, uses `Verdict.SAME` for these.

    Args:
        low: Lower end of the interval; NaN where there is none.
        high: Upper end.
        p_value: Of the difference, corrected for its family.
        margin: Smallest loss that matters; None where none was named.
        alpha: Level of the test.

    Raises:
        ValueError: The margin is not positive.
    """
    if margin is not None and not margin > 0:
        raise ValueError(f"margin {margin}: give the smallest loss that matters, such as 0.02")
    if math.isnan(low) or math.isnan(high):
        return Verdict.UNDECIDED
    significant = p_value < alpha
    if significant and low > 0:
        return Verdict.BETTER
    if significant and high < 0:
        return Verdict.WORSE
    ruled_out = margin is not None and low > -margin
    return Verdict.NOT_WORSE if ruled_out else Verdict.UNDECIDED


def minimum_detectable(
    standard_error: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    tests: int = 1,
    degrees: float = math.inf,
) -> float:
    """Return the smallest true difference that a two-sided test finds with `power`.

    It is (t(1 - alpha / 2 tests) + t(power)) times the standard error of the difference, where
    `tests` is the size of the family: the first step of Holm's correction has to be passed; t is
    that of the `degrees` of freedom with which the standard error is known, and normal without.

    Raises:
        ValueError: alpha or power is no share between 0 and 1, or there is no test.
    """
    if not (0 < alpha < 1 and 0 < power < 1) or tests < 1:
        raise ValueError(f"alpha {alpha}, power {power}: shares below 1; tests {tests}: 1 or more")
    steps = (float(stdtrit(degrees, share)) for share in (1 - alpha / (2 * tests), power))
    return sum(steps) * standard_error


def pairs_needed(
    only_first: float, only_second: float, *, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Return how many independent pairs McNemar's test needs.

    n = (z(1 - alpha/2) sqrt(p10 + p01) + z(power) sqrt(p10 + p01 - (p10 - p01)^2))^2
        / (p10 - p01)^2

    Args:
        only_first: p10, share of the pairs that only the first system has right.
        only_second: p01, share of the pairs that only the second has right.
        alpha: Level of the test.
        power: Wanted chance to find the difference.

    Raises:
        ValueError: The shares are equal, negative, or more than 1 together.
    """
    discordant, difference = only_first + only_second, only_first - only_second
    if min(only_first, only_second) < 0 or discordant > 1 or difference == 0:
        raise ValueError(
            f"shares {only_first}, {only_second}: two different ones, at most 1 in all"
        )
    normal = NormalDist()
    null = normal.inv_cdf(1 - alpha / 2) * math.sqrt(discordant)
    alternative = normal.inv_cdf(power) * math.sqrt(discordant - difference**2)
    return math.ceil(((null + alternative) / difference) ** 2)


def observations_needed(
    difference: float, spread: float, *, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Return how many observations a one-sided t-test needs to find a mean above 0.

    The power of n observations is that of the noncentral t distribution with n - 1 degrees of
    freedom and noncentrality sqrt(n) difference / spread.

    Args:
        difference: True mean.
        spread: Standard deviation of an observation.
        alpha: One-sided level.
        power: Wanted chance to find it.

    Returns:
        The number, 2 or more; None where the mean is not above 0, or 10 million would not do.

    Raises:
        ValueError: The spread is negative, or alpha or power is no share between 0 and 1.
    """
    if spread < 0 or not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"spread {spread}, alpha {alpha}, power {power}: spread 0 or more, shares")
    if not difference > 0:
        return None

    def finds(count: int) -> bool:
        if spread == 0:
            return True
        limit = float(stdtrit(count - 1, 1 - alpha))
        shift = math.sqrt(count) * difference / spread
        return 1 - float(nctdtr(count - 1, shift, limit)) >= power

    return fewest(finds, first=2)


def fewest(enough: Callable[[int], bool], *, first: int, most: int = 10_000_000) -> int | None:
    """Return the smallest number that is enough, where every larger one is too; None for none.

    Args:
        enough: Whether a number is.
        first: The smallest that is looked at.
        most: The largest.
    """
    low, high = first - 1, first
    while not enough(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
