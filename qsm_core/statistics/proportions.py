"""The intervals of a proportion of independent trials: Wilson's, and the exact one.

References: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
Journal of the American Statistical Association 22 (1927) 209-212; C. Clopper and E. Pearson, "The
use of confidence or fiducial limits", Biometrika 26 (1934) 404-413.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from scipy.special import betaincinv

from qsm_core.statistics.interval import Interval, check_confidence, refused

_METHOD = "Wilson score"
EXACT = "Clopper-Pearson"


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


def exact_interval(successes: float, trials: float, *, confidence: float = 0.95) -> Interval:
    """Return the exact interval of `successes` in `trials`: it covers at least `confidence`.

    Each end is a bound of its own: with a confidence of 1 - 2 alpha, the true proportion lies below
    the low end in at most a share alpha of all experiments, and above the high end likewise. Counts
    need not be whole, for planning.

    Raises:
        ValueError: As `wilson_interval`.
    """
    check_confidence(confidence)
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials: need 0 <= successes <= trials")
    if trials == 0:
        return refused("no trials", confidence=confidence, method=EXACT)
    tail, failures = (1 - confidence) / 2, trials - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes > 0 else 0.0
    high = float(betaincinv(successes + 1, failures, 1 - tail)) if failures > 0 else 1.0
    return Interval(low, high, confidence, EXACT)
