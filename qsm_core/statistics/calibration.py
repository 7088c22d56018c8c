"""Are the probabilities right? Reliability, expected calibration error, Brier score, temperature.

References: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017 (ECE, temperature
scaling); J. Nixon et al., "Measuring Calibration in Deep Learning", CVPR workshops 2019 (bins of
equal size); G. Brier, Monthly Weather Review 78 (1950) 1-3.

Conventions: N: rows, G: bins, p: probability of the positive class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.special import expit, log_expit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_CLIP = 1e-6  # p of exactly 0 or 1 has an infinite logit
_TEMPERATURES = (1e-2, 1e3)


@dataclass(frozen=True)
class Reliability:
    """Points of a reliability diagram; each array has shape (G,)."""

    lowest: FloatArray
    highest: FloatArray
    mean_p: FloatArray
    share_positive: FloatArray
    rows: IntArray


def adaptive_bins(p: npt.ArrayLike, num_bins: int = 15) -> IntArray:
    """Return the bin of each row: bins hold equally many rows; equal p share a bin, shape (N,).

    Raises:
        ValueError: There is no row, a p is outside 0 to 1, or there are fewer than 2 bins.
    """
    values = _probabilities(p)
    if num_bins < 2:
        raise ValueError(f"num_bins {num_bins}: give 2 or more")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    # Rows of one value share a bin: the one that holds the middle of these rows.
    middle = np.cumsum(counts) - counts / 2
    bins = np.minimum((middle * num_bins / len(values)).astype(np.int64), num_bins - 1)
    _, dense = np.unique(bins, return_inverse=True)
    result: IntArray = dense[inverse].astype(np.int64)
    return result


def reliability(p: npt.ArrayLike, is_positive: npt.ArrayLike, bins: IntArray) -> Reliability:
    """Return mean probability and share of positive rows of each bin."""
    values, positive = _probabilities(p), np.asarray(is_positive, dtype=np.float64)
    rows = np.bincount(bins)
    by_bin = [values[bins == number] for number in range(len(rows))]
    return Reliability(
        lowest=np.array([members.min() for members in by_bin]),
        highest=np.array([members.max() for members in by_bin]),
        mean_p=np.bincount(bins, weights=values) / rows,
        share_positive=np.bincount(bins, weights=positive) / rows,
        rows=rows,
    )


def calibration_error(sum_p: FloatArray, sum_positive: FloatArray, rows: FloatArray) -> FloatArray:
    """Return the expected calibration error from the sums of the bins, shape (..., G) each.

    ECE = sum over bins of |sum of p - number of positive rows| / number of rows. It is never
    negative, so noise lifts it: of two perfectly calibrated systems the one with fewer rows
    has the larger one.
    """
    count = rows.sum(axis=-1)
    return np.asarray(
        np.abs(sum_p - sum_positive).sum(axis=-1) / np.where(count > 0, count, np.nan)
    )


def expected_calibration_error(
    p: npt.ArrayLike, is_positive: npt.ArrayLike, num_bins: int = 15
) -> float:
    """Return the ECE with bins that hold equally many rows."""
    bins = adaptive_bins(p, num_bins)
    points = reliability(p, is_positive, bins)
    rows = points.rows.astype(np.float64)
    return float(calibration_error(points.mean_p * rows, points.share_positive * rows, rows))


def brier_scores(p: npt.ArrayLike, is_positive: npt.ArrayLike) -> FloatArray:
    """Return (p - y)^2 of each row; the Brier score is the mean."""
    return np.square(_probabilities(p) - np.asarray(is_positive, dtype=np.float64))


def log_losses(logits: npt.ArrayLike, is_positive: npt.ArrayLike) -> FloatArray:
    """Return -log of the probability given to the true class of each row."""
    signed = np.where(np.asarray(is_positive, dtype=bool), 1.0, -1.0) * np.asarray(logits)
    return -np.asarray(log_expit(signed), dtype=np.float64)


def logits_of(p: npt.ArrayLike) -> FloatArray:
    """Return log(p / (1 - p)), with p kept a millionth away from 0 and 1."""
    inside = np.clip(_probabilities(p), _CLIP, 1 - _CLIP)
    return np.log(inside / (1 - inside))


def fit_temperature(logits: npt.ArrayLike, is_positive: npt.ArrayLike) -> float:
    """Return the temperature T at which p = 1 / (1 + exp(-logit / T)) has the least log loss.

    Fit it on dev and use it on test. T above 1 makes over-confident probabilities milder; it does
    not move the threshold, so no answer changes.

    Raises:
        ValueError: There is no row, or only one class.
    """
    values, positive = np.asarray(logits, dtype=np.float64), np.asarray(is_positive, dtype=bool)
    if not 0 < positive.sum() < len(positive):
        raise ValueError(f"{len(positive)} rows, {positive.sum()} positive: need both classes")

    def loss(log_temperature: float) -> float:
        return float(np.mean(log_losses(values * np.exp(-log_temperature), positive)))

    low, high = np.log(_TEMPERATURES)
    best = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded")
    return float(np.exp(best.x))


def with_temperature(logits: npt.ArrayLike, temperature: float) -> FloatArray:
    """Return the probabilities at a temperature."""
    return np.asarray(expit(np.asarray(logits, dtype=np.float64) / temperature), dtype=np.float64)


def _probabilities(p: npt.ArrayLike) -> FloatArray:
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"p of shape {values.shape}: give one or more probabilities")
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError("p: every one must be from 0 to 1")
    return values
