"""Corrections for testing several hypotheses at once: Holm, and Benjamini and Hochberg.

Holm keeps the chance of any false finding in the family below the level, whatever the dependence
of the tests. Benjamini and Hochberg keep the expected share of false findings among the findings
below it, for independent or positively dependent tests: for long lists that are looked through, not
for claims. A family is what the user considers one question; p-values of different families are
not corrected together.

References: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70; Y. Benjamini and
Y. Hochberg, Journal of the Royal Statistical Society B 57 (1995) 289-300.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Correction = Callable[[npt.ArrayLike], FloatArray]


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Return Holm-adjusted p-values, in the order given, shape (M,).

    A p-value that is NaN belongs to a test that was not made: it stays NaN and does not count
    in the number of tests.

    Raises:
        ValueError: A p-value is outside 0 to 1, or the array has more than one dimension.
    """
    values, made, order = _sorted_tests(p_values)
    # The smallest of m p-values is multiplied by m, the next by m - 1, and so on; an adjusted
    # p-value is never smaller than the one before it.
    factors = len(order) - np.arange(len(order))
    rising = np.minimum(1.0, np.maximum.accumulate(values[made][order] * factors))
    return _in_place(rising, values, made, order)


def benjamini_hochberg(p_values: npt.ArrayLike) -> FloatArray:
    """Return p-values adjusted for the false discovery rate, in the order given, shape (M,).

    NaN is treated as by `holm`.

    Raises:
        ValueError: A p-value is outside 0 to 1, or the array has more than one dimension.
    """
    values, made, order = _sorted_tests(p_values)
    # The k-th smallest of m p-values is multiplied by m / k; from the largest down, an adjusted
    # p-value is never larger than the one after it.
    factors = len(order) / (np.arange(len(order)) + 1)
    scaled = values[made][order] * factors
    falling = np.minimum.accumulate(scaled[::-1])[::-1]
    return _in_place(np.minimum(1.0, falling), values, made, order)


def by_family(
    p_values: npt.ArrayLike, families: Sequence[Hashable], correction: Correction = holm
) -> FloatArray:
    """Return p-values that are corrected within the family that each belongs to, shape (M,).

    Raises:
        ValueError: There is not one family for each p-value, or `correction` refuses.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.shape != (len(families),):
        raise ValueError(f"{values.size} p-values, {len(families)} families: give one for each")
    adjusted = np.full(values.shape, np.nan)
    for family in dict.fromkeys(families):
        members = [i for i, name in enumerate(families) if name == family]
        adjusted[members] = correction(values[members])
    return adjusted


def _sorted_tests(
    p_values: npt.ArrayLike,
) -> tuple[FloatArray, npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Return all p-values, which of them are of tests that were made, and the order of those."""
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"p_values of shape {values.shape}: give one dimension")
    made = ~np.isnan(values)
    if np.any((values[made] < 0) | (values[made] > 1)):
        raise ValueError(f"p_values {values[made].tolist()}: every one must be from 0 to 1")
    return values, made, np.argsort(values[made], kind="stable")


def _in_place(
    adjusted: FloatArray,
    values: FloatArray,
    made: npt.NDArray[np.bool_],
    order: npt.NDArray[np.intp],
) -> FloatArray:
    """Put adjusted p-values, which are in rising order, where the given ones stood."""
    in_order = np.empty_like(adjusted)
    in_order[order] = adjusted
    result = np.full(values.shape, np.nan)
    result[made] = in_order
    return result
