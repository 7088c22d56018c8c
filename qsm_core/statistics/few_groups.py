"""What few groups do to an interval and to a test: they know their own variance badly.

With n groups the percentile interval of a bootstrap is too narrow twice: the resamples vary by
(n - 1) / n of the variance, and the variance itself is only an estimate, which Student's t allows
for and the normal distribution does not. Both are mended by taking the quantiles farther out, at

    Phi(-sqrt(n / (n - 1)) t(n - 1, 1 - tail))  in place of  tail,

the expanded percentile interval of T. Hesterberg, The American Statistician 69 (2015) 371-386.
With several strata the degrees of freedom are those of F. Satterthwaite, Biometrics Bulletin 2
(1946) 110-114. From a few hundred groups on nothing changes.

Conventions: K: groups; a stratum is a class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr, stdtrit

from qsm_core.statistics.bootstrap import standard_error

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Freedom:
    """How well the groups know the variance of a statistic.

    Attributes:
        degrees: Of freedom, as of Student's t.
        inflation: By which the standard deviation of the resamples is too small.
    """

    degrees: float
    inflation: float

    def tail(self, confidence: float) -> float:
        """Return the share of the resamples to cut off at each end."""
        distance = self.inflation * stdtrit(self.degrees, (1 + confidence) / 2)
        return float(ndtr(-distance))

    def error(self, resamples: FloatArray) -> float:
        """Return the standard error that resamples show, not too small; NaN without resamples."""
        return self.inflation * standard_error(resamples)

    def p_value(self, difference: float, error: float) -> float:
        """Return the two-sided p of a difference with this standard error."""
        return float(2 * stdtr(self.degrees, -abs(difference) / error))


def freedom_of(strata: IntArray, jackknife: FloatArray | None = None) -> Freedom:
    """Return how well the groups know the variance of a statistic.

    Args:
        strata: The stratum of each group, shape (K,); at least 2 groups in each.
        jackknife: The statistic without each group, shape (K,): says how much of the variance
            comes from which stratum. Without it the smallest stratum counts, which is cautious.
    """
    counts = np.array([int(np.sum(strata == one)) for one in np.unique(strata)])
    if jackknife is not None and np.all(np.isfinite(jackknife)):
        found = _satterthwaite(strata, jackknife)
        if found is not None:
            return found
    fewest = int(counts.min())
    return Freedom(fewest - 1, math.sqrt(fewest / (fewest - 1)))


def _satterthwaite(strata: IntArray, jackknife: FloatArray) -> Freedom | None:
    """Return degrees of freedom of a sum over strata; None where no group moves the statistic."""
    drawn = whole = spread = 0.0
    for stratum in np.unique(strata):
        values = jackknife[strata == stratum]
        count = len(values)
        influence = (count - 1) * (values.mean() - values)
        of_resamples = float(np.sum(influence**2)) / count**2
        variance = of_resamples * count / (count - 1)
        drawn, whole = drawn + of_resamples, whole + variance
        spread += variance**2 / (count - 1)
    if not spread > 0:
        return None
    return Freedom(whole**2 / spread, math.sqrt(whole / drawn))
