"""The interval of a mean over training seeds, for new seeds as well as for new clips.

Every seed is scored on the same clips. The error of the mean score is the luck of the clips, whose
interval is known from resampling, plus that of the seeds, whose mean has Student's interval. The
two are independent, and their intervals are combined end by end (MOVER: Zou and Donner, Statistics
in Medicine 27 (2008) 1693-1702):

    low = mean - sqrt((mean - low of clips)^2 + (t * spread of seeds)^2 / number of seeds)

and the high end likewise, so the interval is never narrower than that over clips. The luck that a
seed has with single clips is in both parts, so it is a little too wide, not too narrow.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats


def crossed_interval(
    scores: npt.ArrayLike, low: float, high: float, confidence: float
) -> tuple[float, float]:
    """Return the interval of the mean of scores in [0, 1], cut at 0 and 1.

    Args:
        scores: One a seed, (S,), with S of 2 or more.
        low: Low end of the interval of their mean over clips; NaN where not known.
        high: Its high end.
        confidence: Of that interval and of the one returned, such as 0.95.
    """
    values = np.asarray(scores, dtype=np.float64)
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    reach = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error
    ends = mean - np.hypot(mean - low, reach), mean + np.hypot(high - mean, reach)
    return float(np.clip(ends[0], 0, 1)), float(np.clip(ends[1], 0, 1))
