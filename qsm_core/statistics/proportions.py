"""The Wilson interval of a proportion of independent trials.

Reference: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
Journal of the American Statistical Association 22 (1927) 209-212.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from qsm_core.statistics.interval import Interval, check_confidence, refused

_METHOD = "Wilson score"


def wilson_interval(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Return the Wilson score interval of `successes` in `trials`.

    The trials must be independent: for rows that come in groups, or one clip in many conditions,
    it is too narrow; use the cluster bootstrap there.

    Raises:
        ValueError: The counts are negative, `successes` exceeds `trials`, or the confidence is
            no share between 0 and 1.
    """
    check_confidence(confidence)
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials: need 0 <= successes <= trials")
    if trials == 0:
        return refused("no trials", confidence=confidence, method=_METHOD)
    z = -NormalDist().inv_cdf((1 - confidence) / 2)
    share = successes / trials
    scale = 1 + z * z / trials
    center = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    # At 0 and at n successes one end is exactly 0 or 1; rounding would leave 1e-17 beside it.
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == trials else min(1.0, center + half)
    return Interval(low, high, confidence, _METHOD)
