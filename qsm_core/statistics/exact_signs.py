"""The exact sign-flip test of a mean of paired differences, with all 2^n patterns of signs.

Under exchange of the two systems each difference keeps its size and takes either sign. The p-value
is the share of the patterns whose sum is at least as far from 0 as the observed one. All patterns
are counted without being listed: the sums of the first half of the differences are sorted, and for
each sum of the second half the number that completes it to an extreme one is found by bisection,
which takes 2^(n/2) steps instead of 2^n.

Reference: R. Fisher, "The Design of Experiments" (1935), section 21. For more differences than can
be counted, and for groups, use `sign_flip`; with one group a difference both give the same p.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MOST_DIFFERENCES = 34  # 2^17 sums of each half
_ROUNDING = 1e-12


def exact_sign_flip(differences: npt.ArrayLike) -> float:
    """Return the two-sided p-value of the mean of paired differences; 1 where all are 0.

    Args:
        differences: One a pair, shape (N,); at most 34 of them other than 0.

    Raises:
        ValueError: The shape is wrong, one is not finite, or there are too many.
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not np.all(np.isfinite(values)):
        raise ValueError(f"differences of shape {values.shape}: give one finite number a pair")
    moving = values[values != 0]
    if len(moving) > MOST_DIFFERENCES:
        raise ValueError(
            f"{len(moving)} differences: at most {MOST_DIFFERENCES} can be counted; draw signs"
        )
    if not len(moving):
        return 1.0
    # Sums that are equal but for rounding count as equal, hence as extreme.
    limit = abs(float(moving.sum())) - _ROUNDING * float(np.abs(moving).sum())
    half = len(moving) // 2
    first, second = np.sort(_signed_sums(moving[:half])), _signed_sums(moving[half:])
    above = len(first) - np.searchsorted(first, limit - second, side="left")
    below = np.searchsorted(first, -limit - second, side="right")
    extreme = int(above.sum()) + int(below.sum()) if limit > 0 else 2 ** len(moving)
    return float(extreme / 2 ** len(moving))


def _signed_sums(values: FloatArray) -> FloatArray:
    """Return the sums of all patterns of signs, shape (2^N,)."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
