"""The cluster bootstrap: groups are drawn with replacement within their stratum.

Rows of one group (one speaker, one recording, one clip in many conditions) are not independent;
drawing whole groups keeps what they share. Any statistic that is a function of sums over groups
needs only those sums: the number of times that each group was drawn (its weight) times the
group's own sums. All resamples are therefore one matrix product, and systems whose sums stand
side by side in the columns share the same resamples, which makes their differences paired.

Conventions: K: groups, M: columns of sums, B: resamples.
References: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 6, 13;
C. Field and A. Welsh, "Bootstrapping clustered data", JRSS B 69 (2007) 369-390.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from qsm_core.plurals import counted
from qsm_core.statistics.interval import Interval, check_confidence, refused

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
WeightArray = npt.NDArray[np.float32]

METHOD = "cluster bootstrap, percentile"
BCA_METHOD = "cluster bootstrap, BCa"
EXPANDED_METHOD = "cluster bootstrap, expanded percentile"
EXPANDED_BCA_METHOD = "cluster bootstrap, expanded BCa"
FEW_GROUPS = 10
_MAX_UNDEFINED_SHARE = 0.01
_NO_WIDTH = 1e-12
_WEIGHTS_PER_CHUNK = 4_000_000  # 16 MB of weights at a time


def weighted_sums(sums: FloatArray, strata: IntArray, weights: WeightArray) -> FloatArray:
    """Sum the columns of resamples that draw group k weights[:, k] times, shape (B, M).

    Args:
        sums: The sums of each group, shape (K, M).
        strata: The stratum of each group, shape (K,).
        weights: How often each group is drawn, shape (B, K).

    Raises:
        ValueError: The shapes do not fit.
    """
    if sums.ndim != 2 or strata.shape != (len(sums),):
        raise ValueError(f"sums {sums.shape} and strata {strata.shape}: give (K, M) and (K,)")
    resamples = np.zeros((len(weights), sums.shape[1]))
    for members in members_of_strata(strata):
        block = _Block.of(sums, members)
        resamples[:, block.columns] += weights[:, block.members] @ block.sums
    return resamples


def draw_weights(
    strata: IntArray, *, num_resamples: int, rng: np.random.Generator
) -> Iterator[WeightArray]:
    """Yield how often each group is drawn, in parts of shape (b, K) with B rows in all.

    Equal generators give equal weights, so statistics that are computed one after the other can
    share their resamples: start each from the same seed.

    Raises:
        ValueError: There is no group or no resample.
    """
    num_groups = len(strata)
    if num_groups == 0 or num_resamples < 1:
        raise ValueError(f"{num_groups} groups, {num_resamples} resamples: need one of each")
    chunk = max(1, _WEIGHTS_PER_CHUNK // num_groups)
    strata_members = members_of_strata(strata)
    for start in range(0, num_resamples, chunk):
        size = min(chunk, num_resamples - start)
        weights = np.empty((size, num_groups), dtype=np.float32)
        for members in strata_members:
            weights[:, members] = _multinomial_weights(size, len(members), rng)
        yield weights


def members_of_strata(strata: IntArray) -> list[IntArray]:
    """Return the positions of the groups of each stratum."""
    return [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]


@dataclass(frozen=True)
class _Block:
    """The groups of one stratum and the columns in which they have anything to sum."""

    members: IntArray
    columns: IntArray
    sums: npt.NDArray[np.floating]

    @classmethod
    def of(cls, sums: FloatArray, members: IntArray) -> _Block:
        columns = np.flatnonzero(np.any(sums[members] != 0, axis=0))
        block = sums[np.ix_(members, columns)]
        # Single precision halves the work and is exact for counts as long as no sum exceeds 2^24.
        whole = block.size > 0 and np.all(block == np.rint(block))
        small = block.size > 0 and len(members) * float(np.max(np.abs(block))) < 2**24
        kind = np.float32 if whole and small else np.float64
        return cls(members, columns, block.astype(kind))


def percentile_interval(
    resamples: FloatArray, *, confidence: float = 0.95, tail: float | None = None
) -> Interval:
    """Return the middle `confidence` share of the resampled values, shape (B,).

    `tail` is the share cut off at each end, where few groups require another share than
    (1 - confidence) / 2; see `few_groups`.

    Resamples in which the statistic is undefined (NaN: a class was not drawn) are left out when
    they are at most one in a hundred; with more of them the interval is refused. So is one
    without width: where no group differs from the others there is nothing to resample.

    Raises:
        ValueError: The confidence is no share between 0 and 1.
    """
    check_confidence(confidence)
    defined, reason = _defined(resamples)
    if reason is not None:
        return refused(reason, confidence=confidence, method=METHOD)
    cut = (1 - confidence) / 2 if tail is None else tail
    low, high = np.quantile(defined, [cut, 1 - cut])
    method = METHOD if tail is None else EXPANDED_METHOD
    return Interval(float(low), float(high), confidence, method)


def bca_interval(
    resamples: FloatArray,
    *,
    estimate: float,
    jackknife: FloatArray,
    strata: IntArray,
    confidence: float = 0.95,
    tail: float | None = None,
) -> Interval:
    """Return the bias-corrected and accelerated interval (Efron 1987; Davison and Hinkley 1997).

    With z0 the normal quantile of the share of resamples below the estimate, and a the
    acceleration, the ends are the quantiles of the resamples at

        Phi(z0 + (z0 + z) / (1 - a (z0 + z))),  z = the normal quantiles of the tails.

    Args:
        resamples: Resampled values, shape (B,).
        estimate: The value on all groups.
        jackknife: The value without each group, shape (K,).
        strata: The stratum of each group, shape (K,).
        confidence: Of the interval.
        tail: In place of (1 - confidence) / 2, as in `percentile_interval`.

    Raises:
        ValueError: The confidence is no share between 0 and 1.
    """
    check_confidence(confidence)
    defined, reason = _defined(resamples)
    if reason is None and not np.all(np.isfinite(jackknife)):
        reason = "the statistic is undefined without one of the groups"
    if reason is not None:
        return refused(reason, confidence=confidence, method=BCA_METHOD)
    # Values equal to the estimate count half, as for the medians of discrete statistics.
    below = (np.sum(defined < estimate) + 0.5 * np.sum(defined == estimate)) / len(defined)
    if not 0 < below < 1:
        reason = "all resamples lie on one side of the estimate"
        return refused(reason, confidence=confidence, method=BCA_METHOD)
    normal = NormalDist()
    shift, acceleration = normal.inv_cdf(float(below)), acceleration_of(jackknife, strata)
    cut = max((1 - confidence) / 2 if tail is None else tail, 1 / len(defined) ** 2)
    levels = []
    for share in (cut, 1 - cut):
        z = shift + normal.inv_cdf(share)
        levels.append(normal.cdf(shift + z / (1 - acceleration * z)))
    low, high = np.quantile(defined, levels)
    method = BCA_METHOD if tail is None else EXPANDED_BCA_METHOD
    interval = Interval(float(low), float(high), confidence, method)
    if min(levels) * len(defined) < 10 or (1 - max(levels)) * len(defined) < 10:
        return replace(interval, note="rests on fewer than 10 resamples in a tail")
    return interval


def acceleration_of(jackknife: FloatArray, strata: IntArray) -> float:
    """Return the acceleration of the BCa interval from the values without each group.

    With l = (n - 1) (mean - value) within each stratum of n groups:
    a = sum over strata of sum(l^3) / n^3, over 6 (sum over strata of sum(l^2) / n^2)^1.5.
    """
    cubes = squares = 0.0
    for members in members_of_strata(strata):
        count = len(members)
        influence = (count - 1) * (jackknife[members].mean() - jackknife[members])
        cubes += float(np.sum(influence**3)) / count**3
        squares += float(np.sum(influence**2)) / count**2
    return cubes / (6 * squares**1.5) if squares > 0 else 0.0


def standard_error(resamples: FloatArray) -> float:
    """Return the standard deviation of the defined resampled values; NaN where there are none."""
    defined = resamples[np.isfinite(resamples)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else float("nan")


def _defined(resamples: FloatArray) -> tuple[FloatArray, str | None]:
    """Return the defined values, and why they give no interval."""
    undefined = np.isnan(resamples)
    share = float(undefined.mean()) if resamples.size else 1.0
    if share > _MAX_UNDEFINED_SHARE:
        return resamples, f"the statistic is undefined in {100 * share:.1f} % of the resamples"
    defined = resamples[~undefined] if share > 0 else resamples
    if np.ptp(defined) < _NO_WIDTH:
        return defined, f"every resample gives {defined[0]:.4g}: the groups do not differ"
    return defined, None


def reason_to_refuse(groups_by_stratum: dict[str, int]) -> str | None:
    """Say why groups cannot be resampled, or return None.

    A stratum with a single group gives the same resample every time: its interval would have no
    width, whatever the truth is.
    """
    for name, count in groups_by_stratum.items():
        if count < 2:
            return (
                f"{name} comes from {counted(count, 'group')}; an interval needs at least 2 groups"
            )
    return None


def note_on_few_groups(groups_by_stratum: dict[str, int], unit: str = "group") -> str | None:
    """Warn of strata with so few groups that no interval is exact."""
    few = [f"{name}: {n}" for name, n in groups_by_stratum.items() if n < FEW_GROUPS]
    if not few:
        return None
    return f"few {unit}s ({', '.join(few)}), so that they are rough"


def _multinomial_weights(size: int, num_groups: int, rng: np.random.Generator) -> IntArray:
    """Return how often each of `num_groups` is drawn in `num_groups` draws, shape (size, K)."""
    draws = rng.integers(0, num_groups, size=(size, num_groups), dtype=np.int32)
    draws += num_groups * np.arange(size, dtype=np.int32)[:, None]
    counts = np.bincount(draws.ravel(), minlength=size * num_groups)
    return counts.reshape(size, num_groups)
