"""Where in time the scores of a track stand, in one form for all localisations.

Frame k is the span  first + k * step <= sample < first + k * step + extent  of the recording.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qsm_core.detection.events.settings import Localisation
from qsm_core.detection.tracks import ScoreTrack


class Frames(NamedTuple):
    """Scores and their spans; `score` has shape (F,)."""

    first: int
    step: int
    extent: int
    score: npt.NDArray[np.floating]


def frames_of(track: ScoreTrack, localisation: Localisation) -> Frames:
    """Return the frames of a track.

    `window-extent` and `centre-hop` have a frame for each window, `overlap-mean` one for each hop
    that a window covers, also in part: the last windows reach beyond the begin of the last one.
    """
    info = track.info
    if localisation == "window-extent":
        return Frames(info.start_sample, info.hop_samples, info.window_samples, track.logit)
    if localisation == "centre-hop":
        # A hop wider than the window starts before it.
        first = info.start_sample + (info.window_samples - info.hop_samples) // 2
        return Frames(first, info.hop_samples, info.hop_samples, track.logit)
    reach = -(-info.window_samples // info.hop_samples)
    mean = _mean_of_covering(track.logit, reach)
    return Frames(info.start_sample, info.hop_samples, info.hop_samples, mean)


def _mean_of_covering(logit: npt.NDArray[np.float32], reach: int) -> npt.NDArray[np.float64]:
    """Return, for each hop, the mean of the windows that cover it; each covers `reach` hops."""
    if len(logit) == 0 or reach == 1:
        return logit.astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(logit, dtype=np.float64)])
    frames = np.arange(len(logit) + reach - 1)
    last = np.minimum(frames + 1, len(logit))
    begin = np.maximum(frames + 1 - reach, 0)
    mean: npt.NDArray[np.float64] = (sums[last] - sums[begin]) / (last - begin)
    return mean
