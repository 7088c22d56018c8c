"""Holm's correction for testing several hypotheses at once.

Reference: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
Journal of Statistics 6 (1979) 65-70.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return Holm-adjusted p-values, in the order given, shape (M,).

    A p-value that is NaN belongs to a test that was not made: it stays NaN and does not count
    in the number of tests.

    Raises:
        ValueError: A p-value is outside 0 to 1, or the array has more than one dimension.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"p_values of shape {values.shape}: give one dimension")
    made = ~np.isnan(values)
    if np.any((values[made] < 0) | (values[made] > 1)):
        raise ValueError(f"p_values {values[made].tolist()}: every one must be from 0 to 1")
    tested = values[made]
    order = np.argsort(tested, kind="stable")
    # The smallest of m p-values is multiplied by m, the next by m - 1, and so on; an adjusted
    # p-value is never smaller than the one before it.
    factors = len(tested) - np.arange(len(tested))
    adjusted = np.minimum(1.0, np.maximum.accumulate(tested[order] * factors))
    result = np.full(values.shape, np.nan)
    in_order = np.empty_like(adjusted)
    in_order[order] = adjusted
    result[made] = in_order
    return result
