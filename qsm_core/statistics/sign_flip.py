"""The cluster sign-flip test: two systems that answered the same rows, which come in groups.

The two systems are exchanged within whole groups, with a studentised statistic. References:
P. Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses" (2005); A. Janssen,
Statistics & Probability Letters 36 (1997) 9-21; E. Chung and J. Romano, Annals of Statistics 41
(2013) 484-507.

Conventions: K: groups, B: patterns of signs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MAX_EXACT_GROUPS = 13  # 2^13 = 8,192 sign patterns: fewer than the usual random draws
_SIGNS_PER_CHUNK = 4_000_000
_NO_DIFFERENCE = 1e-12


@dataclass(frozen=True)
class SignFlipResult:
    """A difference summed over groups and its two-sided p-value under exchange.

    `statistic` is the difference over its standard error; `num_patterns` says how many patterns
    of signs were looked at, `exact` whether these were all. `num_groups` contribute to the
    difference.
    """

    difference: float
    statistic: float
    p_value: float
    num_patterns: int
    exact: bool
    num_groups: int

    @property
    def smallest_p(self) -> float:
        """The smallest p that so many groups could have given, however large the difference."""
        return smallest_p(self.num_groups, self.num_patterns)


def smallest_p(num_groups: int, num_permutations: int) -> float:
    """Return the smallest p of a test with so many groups in which two systems differ.

    A pattern of signs and its opposite are equally extreme, so that with K groups no p lies below
    2 / 2^K. Where patterns are drawn, none lies below 1 / (drawn + 1).
    """
    if num_groups <= _MAX_EXACT_GROUPS:
        return min(1.0, 2.0 ** (1 - num_groups))
    return 1.0 / (num_permutations + 1)


def sign_flip_test(
    contributions: FloatArray,
    *,
    strata: IntArray,
    shares: FloatArray,
    num_permutations: int,
    rng: np.random.Generator,
) -> SignFlipResult:
    """Test whether a difference that is a sum over groups is zero.

    Exchanging the two systems within a group flips the sign of the group's contribution. With
    few groups all patterns of signs are counted; otherwise `num_permutations` are drawn and the
    observed one is counted with them, so that p is never 0.

    The statistic is the difference over its standard error, found anew for every pattern. The
    plain difference would have no power where one system trades one class for the other: large
    opposite contributions of the two classes widen its distribution, although their sum is known
    well. Studentised, the test is exact when the systems are exchangeable and right for large K
    when only their balanced accuracies are equal.

    Args:
        contributions: What each group adds to the difference, shape (K,).
        strata: The stratum (class) of each group, shape (K,).
        shares: The size of each group as a share of its stratum, shape (K,).
        num_permutations: Patterns to draw when there are too many to count.
        rng: Where the draws come from.

    Raises:
        ValueError: The shapes differ, a contribution is not finite, or a stratum has one group,
            which has no variance to studentise by.
    """
    values = np.asarray(contributions, dtype=np.float64)
    _check_groups(values, strata, shares)
    # By stratum, so that the signs of a stratum are a slice.
    moving = np.flatnonzero(values)
    moving = moving[np.argsort(strata[moving], kind="stable")]
    difference = float(values.sum())
    observed = float(_studentized(np.ones((1, len(moving))), moving, values, strata, shares)[0])
    # Equal statistics may differ by rounding; such ties count as extreme.
    limit = abs(observed) * (1 - 1e-9)
    exact = len(moving) <= _MAX_EXACT_GROUPS
    patterns = (
        _all_signs(len(moving)) if exact else _drawn_signs(len(moving), num_permutations, rng)
    )
    extreme = seen = 0
    for signs in patterns:
        statistic = _studentized(signs, moving, values, strata, shares)
        extreme += int(np.sum(np.abs(statistic) >= limit))
        seen += len(signs)
    p_value = extreme / seen if exact else (extreme + 1) / (seen + 1)
    return SignFlipResult(difference, observed, p_value, seen, exact, len(moving))


def sign_flip_tests(
    contributions: FloatArray,
    *,
    strata: IntArray,
    shares: FloatArray,
    num_permutations: int,
    rng: np.random.Generator,
) -> list[SignFlipResult]:
    """Test many differences at once, each as `sign_flip_test` does, with the same drawn signs.

    Args:
        contributions: What each group adds to each difference, shape (K, M).
        strata: The stratum of each group, shape (K,).
        shares: The size of each group as a share of its stratum, for each difference, (K, M).
        num_permutations: Patterns to draw where there are too many to count.
        rng: Where the draws come from.

    Raises:
        ValueError: As `sign_flip_test`.
    """
    values = np.asarray(contributions, dtype=np.float64)
    if values.ndim != 2 or values.shape != shares.shape:
        raise ValueError(f"contributions {values.shape}, shares {shares.shape}: give (K, M) twice")
    for column in range(values.shape[1]):
        _check_groups(values[:, column], strata, shares[:, column])
    moving = [np.flatnonzero(column) for column in values.T]
    many = [i for i, groups in enumerate(moving) if len(groups) > _MAX_EXACT_GROUPS]
    drawn = _drawn_tests(values[:, many], strata, shares[:, many], num_permutations, rng)
    results = dict(zip(many, drawn, strict=True))
    return [
        results[i]
        if i in results
        else sign_flip_test(
            values[:, i],
            strata=strata,
            shares=shares[:, i],
            num_permutations=num_permutations,
            rng=rng,
        )
        for i in range(values.shape[1])
    ]


def _drawn_tests(
    values: FloatArray,
    strata: IntArray,
    shares: FloatArray,
    num_permutations: int,
    rng: np.random.Generator,
) -> list[SignFlipResult]:
    """Test the columns of `values` with one set of drawn signs of all groups."""
    num_groups, num_tests = values.shape
    if num_tests == 0:
        return []
    order = np.argsort(strata, kind="stable")
    values, shares, sorted_strata = values[order], shares[order], strata[order]
    observed = _studentized_columns(np.ones((1, num_groups)), values, sorted_strata, shares)[0]
    limit = np.abs(observed) * (1 - 1e-9)
    extreme = np.zeros(num_tests, dtype=np.int64)
    for signs in _drawn_signs(num_groups, num_permutations, rng):
        statistic = _studentized_columns(signs, values, sorted_strata, shares)
        extreme += np.sum(np.abs(statistic) >= limit, axis=0)
    return [
        SignFlipResult(
            difference=float(values[:, i].sum()),
            statistic=float(observed[i]),
            p_value=float((extreme[i] + 1) / (num_permutations + 1)),
            num_patterns=num_permutations,
            exact=False,
            num_groups=int(np.count_nonzero(values[:, i])),
        )
        for i in range(num_tests)
    ]


def _studentized_columns(
    signs: FloatArray, values: FloatArray, strata: IntArray, shares: FloatArray
) -> FloatArray:
    """Return difference / standard error of each column under patterns of signs, shape (B, M).

    Groups are sorted by stratum.
    """
    num_tests = values.shape[1]
    total = np.zeros((len(signs), num_tests))
    variance = np.zeros((len(signs), num_tests))
    for stratum in np.unique(strata):
        own = slice(*np.searchsorted(strata, [stratum, stratum + 1]))
        inside, part = values[own], shares[own]
        both = signs[:, own] @ np.hstack([inside, inside * part])
        difference, along = both[:, :num_tests], both[:, num_tests:]
        squares = np.sum(inside**2, axis=0) - 2 * difference * along
        squares += difference**2 * np.sum(part**2, axis=0)
        total += difference
        variance += np.maximum(squares, 0.0) * len(inside) / (len(inside) - 1)
    return _over_error(total, variance, np.sum(values**2, axis=0))


def _over_error(total: FloatArray, variance: FloatArray, scale: FloatArray) -> FloatArray:
    """Return total / sqrt(variance), infinite for a difference without any variance.

    Groups that all agree have no variance: the statistic is then infinite, or 0 for no
    difference. Rounding leaves about 1e-16 of the squares where the exact variance is zero.
    """
    error = np.sqrt(np.where(variance < 1e-14 * scale, 0.0, variance))
    statistic = np.where(np.abs(total) > _NO_DIFFERENCE, np.copysign(np.inf, total), 0.0)
    np.divide(total, error, out=statistic, where=error > 0)
    return statistic


def _check_groups(values: FloatArray, strata: IntArray, shares: FloatArray) -> None:
    if values.ndim != 1 or not values.shape == strata.shape == shares.shape or not values.size:
        raise ValueError(
            f"contributions {values.shape}, strata {strata.shape}, shares {shares.shape}: "
            "give three vectors with one entry a group"
        )
    if not np.all(np.isfinite(values)):
        raise ValueError("contributions: every one must be finite")
    names, counts = np.unique(strata, return_counts=True)
    if np.any(counts < 2):
        raise ValueError(f"strata {names[counts < 2].tolist()}: need at least 2 groups in each")


def _studentized(
    signs: FloatArray,
    moving: IntArray,
    values: FloatArray,
    strata: IntArray,
    shares: FloatArray,
) -> FloatArray:
    """Return difference / standard error under patterns of signs, shape (B,).

    The variance of a stratum's sum is that of its groups around their share of the sum. Groups
    without a contribution have no sign but are part of the variance.
    """
    total = np.zeros(len(signs))
    variance = np.zeros(len(signs))
    for stratum in np.unique(strata):
        inside = strata == stratum
        num_groups = int(inside.sum())
        own = slice(*np.searchsorted(strata[moving], [stratum, stratum + 1]))
        flipped = values[moving[own]]
        weights = np.column_stack([flipped, flipped * shares[moving[own]]])
        difference, along = (signs[:, own] @ weights).T
        squares = np.sum(flipped**2) - 2 * difference * along
        squares += difference**2 * np.sum(shares[inside] ** 2)
        total += difference
        variance += np.maximum(squares, 0.0) * num_groups / (num_groups - 1)
    return _over_error(total, variance, np.asarray(np.sum(values**2)))


def _all_signs(num_groups: int) -> Iterator[FloatArray]:
    """Yield all 2^K patterns at once, shape (2^K, K)."""
    patterns = np.arange(2**num_groups)[:, None] >> np.arange(num_groups)[None, :]
    yield np.where(patterns & 1, -1.0, 1.0)


def _drawn_signs(num_groups: int, count: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """Yield `count` random patterns in parts, each of shape (B, K)."""
    chunk = max(1, _SIGNS_PER_CHUNK // num_groups)
    for start in range(0, count, chunk):
        size = (min(chunk, count - start), num_groups)
        yield np.where(rng.integers(0, 2, size=size, dtype=np.int8), -1.0, 1.0)
