"""The interval of a mean to which rare events add much: an answer that fails counts as 0.

Student's interval fails there. With a true rate of failures of 3 % no failure is among 30 cases in
four experiments of ten; the cases then hardly vary, and the interval knows nothing of what it did
not see. Here the rate of each event has its exact (Clopper-Pearson) bounds, all else has Student's,
and the two are put together end by end (MOVER):

    low = mean - sqrt(sum over events of (effect (rate - its bound))^2 + (t standard error)^2)

and the high end likewise. The effect of an event is by how much the mean of the cases with it
differs from that of the cases without; where none was seen, the caller says what one would do. The
standard error is that of the cases around the mean of their kind (those with the same events).

References: G. Zou and A. Donner, "Construction of confidence limits about effect measures",
Statistics in Medicine 27 (2008) 1693-1702; C. Clopper and E. Pearson, Biometrika 26 (1934) 404-413.
Decision 30 has the simulations.

Conventions: N: cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from qsm_core.statistics.interval import Interval, check_confidence, refused
from qsm_core.statistics.proportions import exact_interval

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

METHOD = "exact for failures, Student's t for the rest (MOVER)"


@dataclass(frozen=True)
class Event:
    """Something that happens in some cases and moves them by much.

    Args:
        happened: In which cases, shape (N,).
        effect: What it does to a case, for when none of the cases (or all) have it.
    """

    happened: BoolArray
    effect: float


@dataclass(frozen=True)
class Parts:
    """What an interval is made of; enough to say what it would be with another number of cases.

    Args:
        mean: Over all cases.
        within: Standard deviation of the cases around the mean of their kind.
        kinds: How many kinds there are.
        rates: Of the events.
        effects: Of the events.
    """

    mean: float
    within: float
    kinds: int
    rates: tuple[float, ...]
    effects: tuple[float, ...]

    def reach(self, num_cases: int, confidence: float, *, upwards: bool) -> float:
        """Return how far the interval of `num_cases` cases like these reaches from the mean."""
        degrees = max(1, num_cases - self.kinds)
        quantile = float(stdtrit(degrees, (1 + confidence) / 2))
        square = (quantile * self.within) ** 2 / num_cases
        for rate, effect in zip(self.rates, self.effects, strict=True):
            interval = exact_interval(rate * num_cases, num_cases, confidence=confidence)
            # More of an event that raises the mean, or less of one that lowers it, is upwards.
            end = interval.high if upwards == (effect > 0) else interval.low
            square += (effect * ((end or 0.0) - rate)) ** 2
        return math.sqrt(square)

    def spread(self) -> float:
        """Return the standard deviation of a case."""
        between = (e**2 * r * (1 - r) for r, e in zip(self.rates, self.effects, strict=True))
        return math.sqrt(self.within**2 + sum(between))


def parts_of(values: npt.ArrayLike, events: Sequence[Event]) -> Parts:
    """Take apart what the mean of the values rests on.

    Args:
        values: One a case, shape (N,).
        events: What moves single cases by much.

    Raises:
        ValueError: The shapes do not fit, there is a single case, or one is not finite.
    """
    cases = np.asarray(values, dtype=np.float64)
    if cases.ndim != 1 or len(cases) < 2 or not np.all(np.isfinite(cases)):
        raise ValueError(f"values of shape {cases.shape}: give two or more finite numbers")
    if any(event.happened.shape != cases.shape for event in events):
        raise ValueError("events: say of each case whether it happened")
    code = np.zeros(len(cases), dtype=np.int64)
    for event in events:
        code = 2 * code + event.happened
    squares, kinds = 0.0, np.unique(code)
    for kind in kinds:
        own = cases[code == kind]
        squares += float(np.sum((own - own.mean()) ** 2))
    within = math.sqrt(squares / max(1, len(cases) - len(kinds)))
    return Parts(
        mean=float(cases.mean()),
        within=within,
        kinds=len(kinds),
        rates=tuple(float(event.happened.mean()) for event in events),
        effects=tuple(_effect(cases, event) for event in events),
    )


def rare_event_interval(
    values: npt.ArrayLike, events: Sequence[Event], *, confidence: float = 0.9
) -> Interval:
    """Return the interval of the mean of the values.

    Raises:
        ValueError: As `parts_of`.
    """
    check_confidence(confidence)
    parts, count = parts_of(values, events), np.size(values)
    if count <= parts.kinds:
        reason = f"{count} cases of {parts.kinds} kinds: none is left to vary"
        return refused(reason, confidence=confidence, method=METHOD)
    low = parts.mean - parts.reach(count, confidence, upwards=False)
    high = parts.mean + parts.reach(count, confidence, upwards=True)
    return Interval(low, high, confidence, METHOD)


def _effect(cases: FloatArray, event: Event) -> float:
    if not 0 < int(event.happened.sum()) < len(cases):
        return event.effect
    return float(cases[event.happened].mean() - cases[~event.happened].mean())
