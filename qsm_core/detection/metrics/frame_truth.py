"""Are a detector's log odds probabilities? Its windows against the annotations.

A window is positive if its centre lies in an annotation; one whose centre lies in an unsure
annotation, or outside the recording, is left out. Platt's scaling finds slope and intercept of the
log odds on windows of dev groups: p = 1 / (1 + exp(-(slope * logit + intercept))). Reliability and
errors of the scaled probabilities are those of `statistics/calibration.py`.

Reference: J. Platt, "Probabilistic outputs for support vector machines", Advances in large margin
classifiers (1999) 61-74.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from qsm_core.detection.tracks import ScoreTrack
from qsm_core.errors import DataError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Platt(NamedTuple):
    """Slope and intercept of the log odds; (1, 0) changes nothing."""

    slope: float
    intercept: float

    def probability(self, logit: npt.ArrayLike) -> FloatArray:
        """Return the probability of each log odds."""
        scaled: FloatArray = expit(
            self.slope * np.asarray(logit, dtype=np.float64) + self.intercept
        )
        return scaled


def labelled_windows(track: ScoreTrack, annotations: pd.DataFrame) -> tuple[FloatArray, BoolArray]:
    """Return the log odds of the windows that count, and whether each is positive.

    Args:
        track: The scores of a recording.
        annotations: Annotations; those of other recordings and labels are left out.
    """
    info = track.info
    own = annotations[
        (annotations["recording_id"] == info.recording_id) & (annotations["label"] == info.label)
    ]
    # In half samples, so that the centre of a window is a whole number.
    centre = 2 * track.begins + info.window_samples
    inside = _inside(centre, own[~own["is_unsure"]], info.sample_rate_hz)
    unsure = _inside(centre, own[own["is_unsure"]], info.sample_rate_hz)
    counts = (centre >= 0) & (centre < 2 * info.num_samples) & (inside | ~unsure)
    return track.logit[counts].astype(np.float64), inside[counts]


def fit_platt(logit: npt.ArrayLike, is_positive: npt.ArrayLike) -> Platt:
    """Return slope and intercept with the largest likelihood of smoothed targets.

    Platt's targets, (P + 1) / (P + 2) and 1 / (N + 2) in place of 1 and 0, keep the slope finite
    where the classes do not overlap.

    Raises:
        DataError: There are no windows of one of the classes.
    """
    x, y = np.asarray(logit, dtype=np.float64), np.asarray(is_positive, dtype=bool)
    positive, negative = int(y.sum()), int((~y).sum())
    if positive == 0 or negative == 0:
        counts = f"{positive} positive and {negative} negative windows"
        raise DataError("probabilities cannot be calibrated", [f"{counts}: needs both"])
    target = np.where(y, (positive + 1) / (positive + 2), 1 / (negative + 2))
    scale = float(np.std(x)) or 1.0
    z = (x - x.mean()) / scale

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        logits = parameters[0] * z + parameters[1]
        value = -(target * log_expit(logits) + (1 - target) * log_expit(-logits)).mean()
        residual = expit(logits) - target
        return float(value), np.array([(residual * z).mean(), residual.mean()])

    fit = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS", options={"gtol": 1e-9})
    slope = float(fit.x[0]) / scale
    return Platt(slope, float(fit.x[1]) - slope * float(x.mean()))


def _inside(centre: npt.NDArray[np.int64], events: pd.DataFrame, rate_hz: int) -> BoolArray:
    """Return whether each place, in half samples, lies in an event."""
    begin = np.sort(np.ceil(np.round(2 * rate_hz * events["begin_s"].to_numpy(np.float64), 6)))
    end = np.sort(np.ceil(np.round(2 * rate_hz * events["end_s"].to_numpy(np.float64), 6)))
    # Begun and not yet ended.
    inside: BoolArray = np.searchsorted(begin, centre, side="right") > np.searchsorted(
        end, centre, side="right"
    )
    return inside
