"""Psychometric functions: the share of right answers as a function of a stimulus level.

    P(x) = g + (1 - g - l) / (1 + exp(-s (x - m)))

with the location m and slope s > 0 in units of x (log10 of ms, or dB), the guess rate g (what is
left without a stimulus) and the lapse rate l (what is missing at the strongest). Fitted by maximum
likelihood, all resamples of a bootstrap at once. The likelihood is the binomial one; with several
rows a clip it is a quasi-likelihood, whose estimates stay right and whose intervals have to come
from resampled clusters.

References: F. Wichmann and N. Hill, Perception and Psychophysics 63 (2001) 1293-1313 (guess and
lapse rates); 1314-1329 (bootstrap); N. Prins, Frontiers in Psychology 3 (2012) 230 (lapse rates
that are free).

Conventions: B: data sets (resamples), L: levels, the last axis of parameters is location,
log slope, lapse, guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, xlogy

FloatArray = npt.NDArray[np.float64]

LOCATION, LOG_SLOPE, LAPSE, GUESS = range(4)
_STEPS = 100
_TINY = 1e-9
_WIDTHS = 4.4  # slope times the distance in which the logistic function rises from 0.1 to 0.9


@dataclass(frozen=True)
class Bounds:
    """What the parameters may be; a parameter whose ends are equal is fixed.

    Args:
        guess: Lowest and highest guess rate.
        lapse: Lowest and highest lapse rate.
    """

    guess: tuple[float, float] = (0.0, 0.95)
    lapse: tuple[float, float] = (0.0, 0.95)


@dataclass(frozen=True)
class Fits:
    """Fitted functions, shape (B, 4), and the log-likelihood of each, shape (B,)."""

    parameters: FloatArray
    log_likelihood: FloatArray

    def at(self, x: npt.ArrayLike) -> FloatArray:
        """Return the fitted share at each x, shape (B, len(x))."""
        return shares(self.parameters, np.asarray(x, dtype=np.float64))


def shares(parameters: FloatArray, x: FloatArray) -> FloatArray:
    """Return P(x) of each row of parameters, shape (B, L)."""
    location, log_slope, lapse, guess = (parameters[:, [i]] for i in range(4))
    rise: FloatArray = expit(np.exp(log_slope) * (x - location))
    return guess + (1 - guess - lapse) * rise


def fit(
    x: npt.ArrayLike,
    right: npt.ArrayLike,
    rows: npt.ArrayLike,
    *,
    bounds: Bounds | None = None,
    start: FloatArray | None = None,
) -> Fits:
    """Fit B functions at once.

    Args:
        x: Levels in the units of the fit, ascending, shape (L,).
        right: Right answers (or any non-negative weight of them), shape (B, L).
        rows: Rows, the same shape; a level without rows has no part.
        bounds: Of guess and lapse rates.
        start: Parameters to try first beside a coarse grid, shape (4,).

    Raises:
        ValueError: The shapes differ, the levels are fewer than 3 or do not rise, or a count is
            not within its rows.
    """
    levels = np.asarray(x, dtype=np.float64)
    hits, total = (np.atleast_2d(np.asarray(a, dtype=np.float64)) for a in (right, rows))
    _check(levels, hits, total)
    limits = _limits(levels, bounds or Bounds())
    parameters = _best_of_grid(levels, hits, total, limits, start)
    return _climb(levels, hits, total, limits, parameters)


def deviance(fits: Fits, right: npt.ArrayLike, rows: npt.ArrayLike) -> FloatArray:
    """Return twice the log-likelihood that the saturated model has more, shape (B,)."""
    hits, total = (np.atleast_2d(np.asarray(a, dtype=np.float64)) for a in (right, rows))
    share = np.divide(hits, total, out=np.zeros_like(hits), where=total > 0)
    saturated = np.sum(xlogy(hits, share) + xlogy(total - hits, 1 - share), axis=1)
    return np.asarray(2 * (saturated - fits.log_likelihood))


def _check(levels: FloatArray, hits: FloatArray, total: FloatArray) -> None:
    if levels.ndim != 1 or hits.shape != total.shape or hits.shape[1:] != levels.shape:
        raise ValueError(f"x {levels.shape}, right {hits.shape}, rows {total.shape}: give (L,) ...")
    if len(levels) < 3 or np.any(np.diff(levels) <= 0):
        raise ValueError(f"x {levels.tolist()}: give 3 levels or more, in rising order")
    if np.any(hits < 0) or np.any(hits > total + 1e-9):
        raise ValueError("right: from 0 to the rows of the level")


def _limits(levels: FloatArray, bounds: Bounds) -> FloatArray:
    """Return the lowest and highest value of each parameter, shape (2, 4).

    The location may lie one tested range beyond either end; the rise may be half as steep as the
    finest step between levels can tell, and ten times as wide as the tested range.
    """
    width = float(np.ptp(levels))
    steepest, flattest = _WIDTHS / (0.5 * float(np.min(np.diff(levels)))), _WIDTHS / (10 * width)
    limits: FloatArray = np.array(
        [
            [levels[0] - width, np.log(flattest), bounds.lapse[0], bounds.guess[0]],
            [levels[-1] + width, np.log(steepest), bounds.lapse[1], bounds.guess[1]],
        ]
    )
    return limits


def _log_likelihood(p: FloatArray, hits: FloatArray, total: FloatArray) -> FloatArray:
    inside = np.clip(p, _TINY, 1 - _TINY)
    value: FloatArray = np.sum(xlogy(hits, inside) + xlogy(total - hits, 1 - inside), axis=-1)
    return value


def _best_of_grid(
    levels: FloatArray,
    hits: FloatArray,
    total: FloatArray,
    limits: FloatArray,
    start: FloatArray | None,
) -> FloatArray:
    """Return the best of a coarse grid for each data set, so that no climb starts far away."""
    share = np.divide(hits, total, out=np.full_like(hits, 0.5), where=total > 0)
    low, high = np.min(share, axis=1), np.max(share, axis=1)
    first = limits.mean(axis=0) if start is None else start
    best = _allowed(np.tile(first, (len(hits), 1)), limits)
    best_value = _log_likelihood(shares(best, levels), hits, total)
    width = float(np.ptp(levels))
    for location in np.linspace(levels[0] - 0.25 * width, levels[-1] + 0.25 * width, 7):
        for rise in (0.15, 0.5, 1.5):
            trial = np.column_stack(
                [
                    np.full(len(hits), location),
                    np.full(len(hits), np.log(_WIDTHS / (rise * width))),
                    1 - high,
                    low,
                ]
            )
            best, best_value = _better_of(best, best_value, trial, levels, hits, total, limits)
    # A level line, for data that do not rise.
    mean = np.clip(hits.sum(axis=1) / np.maximum(total.sum(axis=1), _TINY), 0.0, 1.0)
    flat = np.column_stack([best[:, LOCATION], best[:, LOG_SLOPE], 1 - mean, mean])
    best, _ = _better_of(best, best_value, flat, levels, hits, total, limits)
    return best


def _better_of(
    best: FloatArray,
    best_value: FloatArray,
    trial: FloatArray,
    levels: FloatArray,
    hits: FloatArray,
    total: FloatArray,
    limits: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the better of two candidates of each data set, and its log-likelihood."""
    trial = _allowed(trial, limits)
    value = _log_likelihood(shares(trial, levels), hits, total)
    better = value > best_value
    return np.where(better[:, None], trial, best), np.where(better, value, best_value)


def _allowed(parameters: FloatArray, limits: FloatArray) -> FloatArray:
    """Return the nearest parameters within the bounds whose curve does not fall."""
    inside: FloatArray = np.clip(parameters, limits[0], limits[1])
    inside[:, LAPSE] = np.minimum(inside[:, LAPSE], 1 - inside[:, GUESS])
    return inside


def _climb(
    levels: FloatArray,
    hits: FloatArray,
    total: FloatArray,
    limits: FloatArray,
    parameters: FloatArray,
) -> Fits:
    """Climb by damped Fisher scoring within the bounds, all data sets at once."""
    value = _log_likelihood(shares(parameters, levels), hits, total)
    damping = np.full(len(hits), 1e-2)
    moving = np.arange(len(hits))
    for _ in range(_STEPS):
        if not len(moving):
            break
        now = parameters[moving]
        step = _step(levels, hits[moving], total[moving], limits, now, damping[moving])
        trial = _allowed(now + step, limits)
        trial_value = _log_likelihood(shares(trial, levels), hits[moving], total[moving])
        gain = trial_value - value[moving]
        better = gain > 0
        accepted = moving[better]
        parameters[accepted], value[accepted] = trial[better], trial_value[better]
        damping[moving] = np.where(better, damping[moving] / 5, damping[moving] * 5)
        damping[moving] = np.maximum(damping[moving], 1e-9)
        settled = (better & (gain < 1e-7)) | (damping[moving] > 1e6)
        moving = moving[~settled]
    return Fits(parameters, value)


def _step(
    levels: FloatArray,
    hits: FloatArray,
    total: FloatArray,
    limits: FloatArray,
    parameters: FloatArray,
    damping: FloatArray,
) -> FloatArray:
    """Return the damped scoring step, shape (B, 4); a parameter held at a bound does not move."""
    p = np.clip(shares(parameters, levels), _TINY, 1 - _TINY)
    slopes = _derivatives(parameters, levels)
    weight = total / (p * (1 - p))
    share = np.divide(hits, total, out=p.copy(), where=total > 0)
    gradient = np.einsum("bl,bli->bi", weight * (share - p), slopes)
    information = np.einsum("bl,bli,blj->bij", weight, slopes, slopes)
    at_low = (parameters <= limits[0] + 1e-12) & (gradient <= 0)
    at_high = (parameters >= limits[1] - 1e-12) & (gradient >= 0)
    free = ~(at_low | at_high)
    information *= free[:, :, None] & free[:, None, :]
    diagonal = np.einsum("bii->bi", information)
    diagonal += damping[:, None] * diagonal + np.where(free, 1e-10, 1.0)
    return np.linalg.solve(information, (gradient * free)[..., None])[..., 0]


def _derivatives(parameters: FloatArray, levels: FloatArray) -> FloatArray:
    """Return the derivatives of P by location, log slope, lapse, guess; shape (B, L, 4)."""
    location, log_slope, lapse, guess = (parameters[:, [i]] for i in range(4))
    slope = np.exp(log_slope)
    z = slope * (levels - location)
    rise = expit(z)
    height = (1 - guess - lapse) * rise * (1 - rise)
    return np.stack([-height * slope, height * z, -rise, 1 - rise], axis=-1)
