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
_AT_ONCE = 5000  # data sets; more are not faster and take more memory
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
        bounds: Bounds of guess and lapse rates.
        start: Parameters to try first beside a coarse grid, shape (4,).

    Raises:
        ValueError: The shapes differ, the levels are fewer than 3 or do not rise, or a count is
            not within its rows.
    """
    levels = np.asarray(x, dtype=np.float64)
    hits, total = (np.atleast_2d(np.asarray(a, dtype=np.float64)) for a in (right, rows))
    _check(levels, hits, total)
    limits = _limits(levels, bounds or Bounds())
    parts = []
    for begin in range(0, len(hits), _AT_ONCE):
        # Data sets along the last axis: every sum over levels adds whole vectors.
        own = (np.ascontiguousarray(all_of[begin : begin + _AT_ONCE].T) for all_of in (hits, total))
        own_hits, own_total = own
        first = _best_of_grid(levels, own_hits, own_total, limits, start)
        parts.append(_climb(levels, own_hits, own_total, limits, first))
    return Fits(
        np.concatenate([part.parameters for part in parts]),
        np.concatenate([part.log_likelihood for part in parts]),
    )


def deviance(fits: Fits, right: npt.ArrayLike, rows: npt.ArrayLike) -> FloatArray:
    """Return twice the excess log-likelihood of the saturated model, shape (B,)."""
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


def _best_of_grid(
    levels: FloatArray,
    hits: FloatArray,
    total: FloatArray,
    limits: FloatArray,
    start: FloatArray | None,
) -> FloatArray:
    """Return the starting parameters of each data set, shape (4, B), near enough to climb from.

    The likelihood chooses among the curves of a coarse grid, `start`, and a level line.
    """
    share = np.divide(hits, total, out=np.full_like(hits, 0.5), where=total > 0)
    low, high = np.min(share, axis=0), np.max(share, axis=0)
    width = float(np.ptp(levels))
    first = limits.mean(axis=0) if start is None else start
    best = _allowed(np.tile(first[:, None], len(low)), limits)
    value = _log_likelihood(_curve_at(best, levels), hits, total)

    def take_the_better(trial: FloatArray) -> None:
        allowed = _allowed(trial, limits)
        trial_value = _log_likelihood(_curve_at(allowed, levels), hits, total)
        better = trial_value > value
        best[:, better], value[better] = allowed[:, better], trial_value[better]

    for location in np.linspace(levels[0] - 0.25 * width, levels[-1] + 0.25 * width, 7):
        for rise in (0.15, 0.5, 1.5):
            log_slope = np.log(_WIDTHS / (rise * width))
            take_the_better(np.stack(np.broadcast_arrays(location, log_slope, 1 - high, low)))
    # A level line, for data that do not rise.
    mean = np.clip(hits.sum(axis=0) / np.maximum(total.sum(axis=0), _TINY), 0.0, 1.0)
    take_the_better(np.stack([best[LOCATION], best[LOG_SLOPE], 1 - mean, mean]))
    return best


def _allowed(parameters: FloatArray, limits: FloatArray) -> FloatArray:
    """Return the nearest parameters within the bounds whose curve does not fall, shape (4, B)."""
    inside: FloatArray = np.clip(parameters, limits[0][:, None], limits[1][:, None])
    inside[LAPSE] = np.minimum(inside[LAPSE], 1 - inside[GUESS])
    return inside


def _curve_at(parameters: FloatArray, levels: FloatArray) -> FloatArray:
    """Return P of each data set at the levels, shape (L, B)."""
    location, log_slope, lapse, guess = parameters
    rise = expit(np.exp(log_slope) * (levels[:, None] - location))
    return np.asarray(guess + (1 - guess - lapse) * rise, dtype=np.float64)


def _log_likelihood(p: FloatArray, hits: FloatArray, total: FloatArray) -> FloatArray:
    inside = np.clip(p, _TINY, 1 - _TINY)
    value: FloatArray = np.sum(hits * np.log(inside) + (total - hits) * np.log(1 - inside), axis=0)
    return value


def _climb(
    levels: FloatArray,
    hits: FloatArray,
    total: FloatArray,
    limits: FloatArray,
    parameters: FloatArray,
) -> Fits:
    """Climb by damped Fisher scoring within the bounds, all data sets at once."""
    value = _log_likelihood(_curve_at(parameters, levels), hits, total)
    damping = np.full(hits.shape[1], 1e-2)
    moving = np.arange(hits.shape[1])
    for _ in range(_STEPS):
        if not len(moving):
            break
        now, own_hits, own_total = parameters[:, moving], hits[:, moving], total[:, moving]
        step = _step(levels, own_hits, own_total, limits, now, damping[moving])
        trial = _allowed(now + step, limits)
        trial_value = _log_likelihood(_curve_at(trial, levels), own_hits, own_total)
        gain = trial_value - value[moving]
        better = gain > 0
        accepted = moving[better]
        parameters[:, accepted], value[accepted] = trial[:, better], trial_value[better]
        damping[moving] = np.where(better, damping[moving] / 5, damping[moving] * 5)
        damping[moving] = np.maximum(damping[moving], 1e-9)
        settled = (better & (gain < 1e-7)) | (damping[moving] > 1e6)
        moving = moving[~settled]
    return Fits(parameters.T, value)


def _step(
    levels: FloatArray,
    hits: FloatArray,
    total: FloatArray,
    limits: FloatArray,
    parameters: FloatArray,
    damping: FloatArray,
) -> FloatArray:
    """Return the damped scoring step, shape (4, B); a parameter held at a bound does not move."""
    location, log_slope, lapse, guess = parameters
    slope = np.exp(log_slope)
    z = slope * (levels[:, None] - location)
    rise = expit(z)
    p = np.clip(guess + (1 - guess - lapse) * rise, _TINY, 1 - _TINY)
    height = (1 - guess - lapse) * rise * (1 - rise)
    # Derivatives of P by location, log slope, lapse, guess; (L, B) each.
    slopes = (-height * slope, height * z, -rise, 1 - rise)
    free = [i for i in range(4) if limits[0, i] < limits[1, i]]
    inverse = 1 / (p * (1 - p))
    residual, weight = (hits - total * p) * inverse, total * inverse
    gradient = np.stack([np.sum(residual * slopes[i], axis=0) for i in free])
    low, high = limits[0, free][:, None], limits[1, free][:, None]
    held = (parameters[free] <= low + 1e-12) & (gradient <= 0)
    held |= (parameters[free] >= high - 1e-12) & (gradient >= 0)
    information = np.empty((len(free), len(free), len(damping)))
    for i, row in enumerate(free):
        weighted = weight * slopes[row]
        for j, column in enumerate(free[: i + 1]):
            together = np.sum(weighted * slopes[column], axis=0)
            information[i, j] = np.where(held[i] | held[j], 0.0, together)
        information[i, i] += damping * information[i, i] + np.where(held[i], 1.0, 1e-10)
    step = np.zeros_like(parameters)
    step[free] = _solved(information, np.where(held, 0.0, gradient))
    return step


def _solved(matrix: FloatArray, right: FloatArray) -> FloatArray:
    """Solve B small systems at once by Cholesky's method, without a loop over B.

    Args:
        matrix: Symmetric and positive definite; of shape (n, n, B), the lower triangle is read.
        right: The right sides, shape (n, B).
    """
    size = len(matrix)
    lower = np.zeros_like(matrix)
    solved = np.empty_like(right)
    for i in range(size):
        for j in range(i):
            rest = matrix[i, j] - np.sum(lower[i, :j] * lower[j, :j], axis=0)
            lower[i, j] = rest / lower[j, j]
        rest = matrix[i, i] - np.sum(np.square(lower[i, :i]), axis=0)
        # Rounding must not make a pivot near zero negative.
        lower[i, i] = np.sqrt(np.maximum(rest, 1e-12 * matrix[i, i]))
        solved[i] = (right[i] - np.sum(lower[i, :i] * solved[:i], axis=0)) / lower[i, i]
    for i in reversed(range(size)):
        behind = np.sum(lower[i + 1 :, i] * solved[i + 1 :], axis=0)
        solved[i] = (solved[i] - behind) / lower[i, i]
    return solved
