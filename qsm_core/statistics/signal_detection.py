"""Signal detection: sensitivity d' and criterion c from hits and correct rejections.

With H the hit rate and F the false-alarm rate, d' = z(H) - z(F) says how well the two classes are
separated, and c = -(z(H) + z(F)) / 2 where the line between them lies: 0 is neutral, below 0
leans to the positive class (speech). Rates of 0 and 1 would give infinite values; the log-linear
correction adds half a row to each cell: H = (hits + 0.5) / (rows + 1).

References: D. Green and J. Swets, "Signal Detection Theory and Psychophysics" (1966); M. Hautus,
Behavior Research Methods 27 (1995) 46-51 (log-linear); N. Macmillan and C. Creelman, "Detection
Theory: A User's Guide" (2005).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

FloatArray = npt.NDArray[np.float64]


class Detection(NamedTuple):
    """Sensitivity and criterion, of any shape."""

    d_prime: FloatArray
    criterion: FloatArray


def detection(
    hits: npt.ArrayLike,
    num_positive: npt.ArrayLike,
    correct_rejections: npt.ArrayLike,
    num_negative: npt.ArrayLike,
) -> Detection:
    """Compute d' and criterion from counts, with the log-linear correction.

    Args:
        hits: Positive rows that were answered rightly, any shape.
        num_positive: Positive rows.
        correct_rejections: Negative rows that were answered rightly.
        num_negative: Negative rows.

    Returns:
        NaN where a class has no rows.

    Raises:
        ValueError: A count is negative or larger than its rows.
    """
    right = [np.asarray(counts, dtype=np.float64) for counts in (hits, correct_rejections)]
    rows = [np.asarray(counts, dtype=np.float64) for counts in (num_positive, num_negative)]
    if any(np.any(r < 0) or np.any(r > n) for r, n in zip(right, rows, strict=True)):
        raise ValueError("hits and correct rejections: from 0 to the rows of their class")
    hit, rejection = (
        ndtri(np.where(n > 0, (r + 0.5) / (n + 1), np.nan))
        for r, n in zip(right, rows, strict=True)
    )
    # z(F) = -z(1 - F): the false-alarm rate is one minus the share of correct rejections.
    return Detection(hit + rejection, (rejection - hit) / 2)
