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

import numpy as np
import numpy.typing as npt

from qsm_core.statistics.interval import Interval, check_confidence, refused

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

METHOD = "cluster bootstrap, percentile"
FEW_GROUPS = 10
_MAX_UNDEFINED_SHARE = 0.01
_NO_WIDTH = 1e-12
_WEIGHTS_PER_CHUNK = 4_000_000  # 32 MB of weights at a time


def resample_sums(
    sums: FloatArray, strata: IntArray, *, num_resamples: int, rng: np.random.Generator
) -> FloatArray:
    """Draw the groups of each stratum with replacement and sum their columns.

    Args:
        sums: The sums of each group, shape (K, M).
        strata: The stratum of each group, shape (K,); as many groups are drawn from a stratum
            as it has.
        num_resamples: B.
        rng: Where the draws come from.

    Returns:
        The sums of each resample, shape (B, M).

    Raises:
        ValueError: The shapes do not fit, or there is no group or no resample.
    """
    num_groups = len(sums)
    if sums.ndim != 2 or strata.shape != (num_groups,):
        raise ValueError(f"sums {sums.shape} and strata {strata.shape}: give (K, M) and (K,)")
    if num_groups == 0 or num_resamples < 1:
        raise ValueError(f"{num_groups} groups, {num_resamples} resamples: need one of each")
    chunk = max(1, _WEIGHTS_PER_CHUNK // num_groups)
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    parts = []
    for start in range(0, num_resamples, chunk):
        size = min(chunk, num_resamples - start)
        weights = np.empty((size, num_groups), dtype=np.float64)
        for groups in members:
            weights[:, groups] = _multinomial_weights(size, len(groups), rng)
        parts.append(weights @ sums)
    return np.concatenate(parts)


def percentile_interval(resamples: FloatArray, *, confidence: float = 0.95) -> Interval:
    """Return the middle `confidence` share of the resampled values, shape (B,).

    Resamples in which the statistic is undefined (NaN: a class was not drawn) are left out when
    they are at most one in a hundred; with more of them the interval is refused. So is one
    without width: where no group differs from the others there is nothing to resample.

    Raises:
        ValueError: The confidence is no share between 0 and 1.
    """
    check_confidence(confidence)
    undefined = np.isnan(resamples)
    share = float(undefined.mean()) if resamples.size else 1.0
    if share > _MAX_UNDEFINED_SHARE:
        reason = f"the statistic is undefined in {100 * share:.1f} % of the resamples"
        return refused(reason, confidence=confidence, method=METHOD)
    tail = (1 - confidence) / 2
    defined = resamples[~undefined]
    if np.ptp(defined) < _NO_WIDTH:
        reason = f"every resample gives {defined[0]:.4g}: the groups do not differ"
        return refused(reason, confidence=confidence, method=METHOD)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high), confidence, METHOD)


def reason_to_refuse(groups_by_stratum: dict[str, int]) -> str | None:
    """Say why groups cannot be resampled, or return None.

    A stratum with a single group gives the same resample every time: its interval would have no
    width, whatever the truth is.
    """
    for name, count in groups_by_stratum.items():
        if count < 2:
            return (
                f"{name} comes from {count} group{'' if count == 1 else 's'}; "
                "an interval needs at least 2 groups"
            )
    return None


def note_on_few_groups(groups_by_stratum: dict[str, int]) -> str | None:
    """Warn of strata with so few groups that the percentile interval is too narrow."""
    few = [f"{name}: {n}" for name, n in groups_by_stratum.items() if n < FEW_GROUPS]
    if not few:
        return None
    return f"few groups ({', '.join(few)}); the true interval is wider"


def _multinomial_weights(size: int, num_groups: int, rng: np.random.Generator) -> IntArray:
    """Return how often each of `num_groups` is drawn in `num_groups` draws, shape (size, K)."""
    draws = rng.integers(0, num_groups, size=(size, num_groups))
    draws += num_groups * np.arange(size)[:, None]
    counts = np.bincount(draws.ravel(), minlength=size * num_groups)
    return counts.reshape(size, num_groups)
