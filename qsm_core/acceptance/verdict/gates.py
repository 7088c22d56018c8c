"""The four gates, as values and with bounds; `docs/acceptance.md` has the formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.verdict.decisions import Decision, Gate, by_bounds
from qsm_core.acceptance.verdict.pairs import BoolArray, FloatArray, Pairs
from qsm_core.acceptance.verdict.planning import cases_for_mean, trials_needed
from qsm_core.statistics.interval import Interval, refused
from qsm_core.statistics.proportions import exact_interval
from qsm_core.statistics.rare_events import METHOD, Event, parts_of, rare_event_interval

# 0.9 times the mean of the baseline may round up by one bit.
_ROUNDING = 1e-12
_LARGEST_RATIO = 100.0


def gates_of(pairs: Pairs, settings: GateSettings) -> tuple[Gate, ...]:
    """Return the gates: validity of both arms, mean of the baseline, ratio of the means."""
    baseline, student = pairs.points
    baseline_valid, student_valid = pairs.valid
    return (
        validity_gate("baseline", baseline_valid, settings),
        validity_gate("student", student_valid, settings),
        baseline_gate(baseline, baseline_valid, settings),
        ratio_gate(Scores(baseline, student, baseline_valid, student_valid), settings),
    )


def validity_gate(arm: str, valid: BoolArray, settings: GateSettings) -> Gate:
    """Return the gate of the share of valid answers, with its exact interval."""
    count, successes = len(valid), int(valid.sum())
    threshold, share = settings.valid_at_least, successes / count
    interval = exact_interval(successes, count, confidence=_confidence(settings))
    bounds = _decided(interval, threshold)
    needed = None
    if bounds == Decision.INCONCLUSIVE:
        needed = trials_needed(share, threshold, alpha=settings.alpha, power=settings.power)
    title = f"valid answers of {arm}"
    point = _reached(share, threshold)
    return Gate(f"valid_{arm}", title, share, threshold, point, interval, bounds, needed)


def baseline_gate(scores: FloatArray, valid: BoolArray, settings: GateSettings) -> Gate:
    """Return the gate of the mean of the baseline, failures as 0."""
    threshold = settings.baseline_at_least
    events = [Event(~valid, -_mean_of(scores, valid))]
    confidence = _confidence(settings)
    interval = rare_event_interval(scores, events, confidence=confidence)
    bounds = _decided(interval, threshold)
    needed = None
    if bounds == Decision.INCONCLUSIVE:
        parts = parts_of(scores - threshold, events)
        needed = cases_for_mean(parts, alpha=settings.alpha, power=settings.power)
    mean = float(scores.mean())
    return Gate(
        "baseline_mean",
        "mean score of baseline",
        mean,
        threshold,
        _reached(mean, threshold),
        interval,
        bounds,
        needed,
    )


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of the same cases in both arms, each (N,), failures as 0, and which are valid."""

    baseline: FloatArray
    student: FloatArray
    baseline_valid: BoolArray
    student_valid: BoolArray

    def beyond(self, margin: float) -> FloatArray:
        """Return student - margin * baseline; its mean is 0 where the ratio is `margin`."""
        return self.student - margin * self.baseline

    def events(self, margin: float) -> list[Event]:
        """Return the failures of both arms as events, with what one does to `beyond`."""
        return [
            Event(~self.student_valid, -_mean_of(self.student, self.student_valid)),
            Event(~self.baseline_valid, margin * _mean_of(self.baseline, self.baseline_valid)),
        ]

    def interval(self, margin: float, confidence: float) -> Interval:
        """Return the interval of the mean of `beyond`."""
        return rare_event_interval(self.beyond(margin), self.events(margin), confidence=confidence)

    @property
    def ratio(self) -> float:
        """Mean of the student over that of the baseline; NaN where that has no point."""
        mean = float(self.baseline.mean())
        return float(self.student.mean()) / mean if mean > 0 else float("nan")


def ratio_gate(scores: Scores, settings: GateSettings) -> Gate:
    """Return the gate of the ratio of the means, failures as 0.

    It passes where the mean of student - threshold * baseline is at least 0 at its low bound. The
    interval of the ratio is that of all thresholds at which this is not decided.
    """
    threshold, confidence = settings.ratio_at_least, _confidence(settings)
    bounds = _decided(scores.interval(threshold, confidence), 0.0)
    needed = None
    if bounds == Decision.INCONCLUSIVE:
        parts = parts_of(scores.beyond(threshold), scores.events(threshold))
        needed = cases_for_mean(parts, alpha=settings.alpha, power=settings.power)
    reached = scores.beyond(threshold).mean() >= -_ROUNDING
    return Gate(
        "ratio",
        "mean score of student over that of baseline",
        scores.ratio,
        threshold,
        Decision.PASS if reached else Decision.FAIL,
        _interval_of_ratio(scores, confidence),
        bounds,
        needed,
    )


def _interval_of_ratio(scores: Scores, confidence: float) -> Interval:
    ratio = scores.ratio

    def low(margin: float) -> float:
        return _end(scores.interval(margin, confidence).low)

    def high(margin: float) -> float:
        return _end(scores.interval(margin, confidence).high)

    if not np.isfinite(ratio) or not np.isfinite(low(ratio)) or high(_LARGEST_RATIO) >= 0:
        reason = "the mean of the baseline is not known to differ from 0"
        return refused(reason, confidence=confidence, method=METHOD)
    least = 0.0 if low(0.0) <= 0 else float(brentq(low, 0.0, ratio))
    most = ratio if high(ratio) <= 0 else float(brentq(high, ratio, _LARGEST_RATIO))
    return Interval(least, most, confidence, METHOD)


def _end(value: float | None) -> float:
    return float("nan") if value is None else value


def _decided(interval: Interval, threshold: float) -> Decision:
    if interval.low is None or interval.high is None:
        return Decision.INCONCLUSIVE
    return by_bounds(interval.low, interval.high, threshold)


def _reached(value: float, threshold: float) -> Decision:
    return Decision.PASS if value >= threshold - _ROUNDING else Decision.FAIL


def _confidence(settings: GateSettings) -> float:
    return 1 - 2 * settings.alpha


def _mean_of(scores: FloatArray, valid: BoolArray) -> float:
    """Return the mean of the valid answers; of a whole score where there is none."""
    return float(scores[valid].mean()) if valid.any() else 1.0
