"""Thresholds of psychometric functions: the level at which the fitted share reaches a target.

A threshold is a number only where the data contain one. Anything else is an outcome of its own,
never a clamped number:

- reached: the fitted curve passes the target within the tested levels;
- extrapolated: it passes it beyond them, by less than half the tested range;
- not reached: it ends below the target (lapse rate), or passes it farther off at the strong side;
- always above: it starts above the target (guess rate), or passes it farther off at the weak side;
- undefined: the target is at or below chance.

In a bootstrap, "not reached" counts as plus infinity and "always above" as minus infinity: an
interval whose end is not reached is open there, and says so.

Conventions: levels in the units of the fit (log10 of ms, or dB); B: resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from qsm_core.statistics.interval import Interval, check_confidence, refused
from qsm_core.statistics.psychometric import GUESS, LAPSE, LOCATION, LOG_SLOPE

FloatArray = npt.NDArray[np.float64]

METHOD = "cluster bootstrap of the fit, percentile"
_BEYOND = 0.5


class Outcome(StrEnum):
    """What became of a threshold."""

    REACHED = "reached"
    EXTRAPOLATED = "extrapolated"
    NOT_REACHED = "not reached"
    ALWAYS_ABOVE = "always above"
    UNDEFINED = "undefined"


@dataclass(frozen=True)
class Threshold:
    """A threshold in the units of the fit, or why there is no number.

    `share_reached` is the share of the resamples in which it lies within the tested levels. An
    end of `interval` is infinite where the resamples do not end.
    """

    target: float
    outcome: Outcome
    value: float
    interval: Interval
    share_reached: float


def crossings(
    parameters: FloatArray, target: float, *, lowest: float, highest: float
) -> FloatArray:
    """Return where fitted functions pass a target, shape (B,), infinite where they do not.

    Args:
        parameters: Of the functions, shape (B, 4).
        target: The share to reach.
        lowest: Lowest tested level.
        highest: Highest tested level.
    """
    guess, lapse = parameters[:, GUESS], parameters[:, LAPSE]
    height = np.maximum(1 - guess - lapse, 1e-12)
    rise = (target - guess) / height
    inside = (rise > 0) & (rise < 1)
    logit = np.zeros(len(parameters))
    logit[inside] = np.log(rise[inside] / (1 - rise[inside]))
    level = parameters[:, LOCATION] + logit / np.exp(parameters[:, LOG_SLOPE])
    level[rise >= 1] = np.inf
    level[rise <= 0] = -np.inf
    margin = _BEYOND * (highest - lowest)
    level[level > highest + margin] = np.inf
    level[level < lowest - margin] = -np.inf
    return level


def threshold_of(
    level: float,
    resampled: FloatArray | None,
    *,
    target: float,
    chance: float | None,
    lowest: float,
    highest: float,
    confidence: float = 0.95,
    tail: float | None = None,
    reason: str | None = None,
) -> Threshold:
    """Name the outcome of a crossing and put an interval beside it.

    Args:
        level: Where the fitted function passes the target, as returned by `crossings`.
        resampled: The same for the resamples, shape (B,); None where there are none.
        target: The share to reach.
        chance: The share that guessing reaches, where it is known and fixed.
        lowest: Lowest tested level.
        highest: Highest tested level.
        confidence: Of the interval.
        tail: Share of the resamples to cut off at each end; None for (1 - confidence) / 2.
        reason: Why there are no resamples.

    Raises:
        ValueError: The confidence is no share between 0 and 1.
    """
    check_confidence(confidence)
    if chance is not None and target <= chance:
        missing = refused("the target is chance", confidence=confidence, method=METHOD)
        return Threshold(target, Outcome.UNDEFINED, np.nan, missing, np.nan)
    if resampled is None:
        text = reason or "not resampled"
        interval, share = refused(text, confidence=confidence, method=METHOD), np.nan
    else:
        share = float(np.mean((resampled >= lowest) & (resampled <= highest)))
        interval = interval_of(resampled, confidence, tail)
    value = level if np.isfinite(level) else np.nan
    return Threshold(target, _outcome(level, lowest, highest), value, interval, share)


def interval_of(resampled: FloatArray, confidence: float, tail: float | None = None) -> Interval:
    """Return the middle share of resampled crossings; an end may be infinite."""
    tail = (1 - confidence) / 2 if tail is None else tail
    # Order statistics, since infinite values cannot be interpolated.
    low, high = np.quantile(resampled, [tail, 1 - tail], method="inverted_cdf")
    beyond = float(np.mean(np.isposinf(resampled))), float(np.mean(np.isneginf(resampled)))
    notes = [
        f"{words} in {100 * share:.1f} % of the resamples"
        for words, share in zip(("not reached", "always above"), beyond, strict=True)
        if share > 0
    ]
    return Interval(float(low), float(high), confidence, METHOD, note="; ".join(notes) or None)


def _outcome(level: float, lowest: float, highest: float) -> Outcome:
    if np.isposinf(level):
        return Outcome.NOT_REACHED
    if np.isneginf(level):
        return Outcome.ALWAYS_ABOVE
    return Outcome.REACHED if lowest <= level <= highest else Outcome.EXTRAPOLATED
