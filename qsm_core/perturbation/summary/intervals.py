"""Means over draws with Student's intervals: the unit is the draw of damage, not the token.

Two draws of the same damage differ by far more than the error over the tokens of one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from qsm_core.statistics.interval import Interval, check_confidence, refused

_METHOD = "Student's t over draws"


def mean_over_draws(
    values: Sequence[float],
    *,
    confidence: float = 0.95,
    logarithmic: bool = False,
    is_share: bool = False,
) -> tuple[float, Interval]:
    """Return the mean of a measure and its interval.

    Args:
        values: One a draw, finite.
        confidence: Of the interval.
        logarithmic: Take mean and interval of the logarithms, and return their exponentials: for
            measures that grow by factors, such as a divergence. Values are then above 0; with a 0
            among them the mean is not taken so.
        is_share: The interval ends at 0 and 1.
    """
    check_confidence(confidence)
    found = np.asarray(values, dtype=np.float64)
    if not len(found):
        return float("nan"), refused("no draw has a value", confidence=confidence, method=_METHOD)
    takes_logs = logarithmic and bool((found > 0).all())
    scaled = np.log(found) if takes_logs else found
    mean = float(scaled.mean())
    back = np.exp if takes_logs else float
    if len(found) < 2:
        reason = "one draw: how much draws differ is not known"
        return float(back(mean)), refused(reason, confidence=confidence, method=_METHOD)
    if bool((scaled == scaled[0]).all()):
        reason = "all draws are alike: how much others differ is not known"
        return float(back(mean)), refused(reason, confidence=confidence, method=_METHOD)
    half = float(stats.t.ppf((1 + confidence) / 2, len(found) - 1) * stats.sem(scaled))
    low, high = float(back(mean - half)), float(back(mean + half))
    if is_share:
        low, high = max(low, 0.0), min(high, 1.0)
    return float(back(mean)), Interval(low, high, confidence, _METHOD)


def crossing(levels: Sequence[float], shares: Sequence[float], at: float = 0.5) -> float | None:
    """Return where a falling curve first reaches a share, between levels along a straight line.

    Args:
        levels: From harmless to harmful.
        shares: One a level.
        at: The share.

    Returns:
        The level; None where no level is so harmful.
    """
    for place, share in enumerate(shares):
        if share > at:
            continue
        if place == 0:
            return float(levels[0])
        above = shares[place - 1]
        way = (above - at) / (above - share)
        return float(levels[place - 1] + way * (levels[place] - levels[place - 1]))
    return None
