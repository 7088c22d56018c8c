"""The interval of a mean over training seeds, for new seeds as well as for new clips.

Every seed is scored on the same clips. The variance of the mean score is taken as

    spread of the seeds / number of seeds  +  variance of the mean over resampled clips

and its degrees of freedom by Satterthwaite (Biometrics Bulletin 2 (1946) 110-114). The luck that a
seed has with single clips is in both terms, so the interval is a little too wide, not too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats


@dataclass(frozen=True)
class CrossedInterval:
    """Ends of the interval, cut at 0 and 1, and its degrees of freedom; NaN where not known."""

    low: float
    high: float
    degrees: float


def crossed_interval(
    scores: npt.ArrayLike, variance_over_clips: float, num_groups: int, confidence: float
) -> CrossedInterval:
    """Return the interval of the mean of scores in [0, 1].

    Args:
        scores: One a seed, (S,), with S of 2 or more.
        variance_over_clips: Of their mean, from resampled groups of clips.
        num_groups: Groups that were resampled, 2 or more.
        confidence: Such as 0.95.
    """
    values = np.asarray(scores, dtype=np.float64)
    parts = np.array([values.var(ddof=1) / len(values), variance_over_clips])
    mean, variance = values.mean(), parts.sum()
    if variance == 0:
        return CrossedInterval(float(mean), float(mean), float("inf"))
    degrees = variance**2 / np.sum(parts**2 / np.array([len(values) - 1, num_groups - 1]))
    reach = stats.t.ppf((1 + confidence) / 2, degrees) * np.sqrt(variance)
    low, high = max(0.0, mean - reach), min(1.0, mean + reach)
    return CrossedInterval(float(low), float(high), float(degrees))
