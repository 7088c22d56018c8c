"""Choose threshold and post-processing of a detector on dev groups.

Thresholds first, then around the best one whatever else makes events: hysteresis, shortest
duration, gaps that are closed. Durations and gaps are tried in proportion to those of the dev
annotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from qsm_core.detection.benchmark.detections import Detections, TableDetections, TrackDetections
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.rates import summary
from qsm_core.detection.metrics.sweep import Sweep, best_setting, grid, sweep, sweep_detections
from qsm_core.detection.tracks import ScoreTrack
from qsm_core.errors import DataError

THRESHOLDS = tuple(np.arange(-5.0, 5.25, 0.5))  # log odds
_SHORTEST = 0.5  # share of the durations' 5th percentile below which an event is too short
_GAPS = (0.0, 0.5)  # shares of the gaps' 5th percentile that are closed
_MOST_SCORES = 200  # that are tried as thresholds of a table of events
_HYSTERESIS = (0.0, 1.0, 2.0)  # log odds below the threshold


@dataclass(frozen=True)
class Choice:
    """What was chosen on dev.

    Attributes:
        settings: How events are made; None where they are taken as another program made them.
        f1: On dev, at the settings.
        tried: One row for each setting that was tried, with precision, recall and f1 on dev.
    """

    settings: EventSettings | None
    f1: float
    tried: pd.DataFrame

    @property
    def finding_most(self) -> EventSettings | None:
        """Of the settings that were tried, those with the largest recall, then precision, on dev.

        They are what a second stage can sort; None where nothing was tried.
        """
        if self.tried.empty:
            return None
        row = self.tried.sort_values(["recall", "precision"], kind="stable").iloc[-1]
        low = row["low_threshold"]
        return EventSettings(
            threshold=float(row["threshold"]),
            low_threshold=None if pd.isna(low) else float(low),
            min_duration_s=float(row["min_duration_s"]),
            max_gap_s=float(row["max_gap_s"]),
        )


def choose(detections: Detections, truth: pd.DataFrame, criterion: Overlap) -> Choice:
    """Return what is best on dev: `choose_settings` of tracks, `choose_threshold` of tables."""
    if isinstance(detections, TableDetections):
        return choose_threshold(detections, truth, criterion)
    if isinstance(detections, TrackDetections):
        return choose_settings(detections.tracks, truth, criterion)
    raise TypeError(f"no threshold can be chosen of {type(detections).__name__}")


def choose_settings(
    tracks: Sequence[ScoreTrack], truth: pd.DataFrame, criterion: Overlap
) -> Choice:
    """Return the settings with the largest F1 on dev; of equals, those in the middle.

    Where detections and background are far apart, many thresholds are equally good on dev, and the
    one in the middle is safest on other groups.

    Args:
        tracks: Of the dev recordings.
        truth: Annotations of these.
        criterion: When a detection matches.

    Raises:
        DataError: The dev recordings hold no event, so nothing can be chosen.
    """
    sure = _sure(truth, len(tracks))
    durations = (sure["end_s"] - sure["begin_s"]).to_numpy()
    shortest = _SHORTEST * float(np.percentile(durations, 5))
    first = sweep(
        tracks, truth, grid(EventSettings(min_duration_s=shortest), THRESHOLDS), criterion
    )
    middle = best_setting(first).threshold
    # In the order of thresholds, so that the middle one of equals is the middle threshold.
    around = [
        EventSettings(
            threshold=float(threshold),
            low_threshold=float(threshold - lower) if lower else None,
            min_duration_s=duration,
            max_gap_s=gap,
        )
        for threshold in (middle - 0.25, middle, middle + 0.25)
        for lower in _HYSTERESIS
        for duration in (shortest, 0.0)
        for gap in (share * _gap(sure) for share in _GAPS)
    ]
    second = sweep(tracks, truth, around, criterion)
    tried = pd.concat([_tried(first), _tried(second)], ignore_index=True)
    return Choice(best_setting(second), float(second.overall["f1"].max()), tried)


def choose_threshold(
    detections: TableDetections, truth: pd.DataFrame, criterion: Overlap
) -> Choice:
    """Return the score from which on events of another program are counted; see `choose_settings`.

    Args:
        detections: Of the dev recordings. Where they have no scores, all of them count.
        truth: Annotations of these.
        criterion: When a detection matches.

    Raises:
        DataError: The dev recordings hold no event.
    """
    _sure(truth, len(detections.durations))
    names = list(detections.durations)
    scores = np.unique(detections.scores)
    if not len(scores):
        every = compare(truth, detections.events, criterion, recordings=names, by_label=False)
        f1 = float(summary(every)["f1"])
        return Choice(None, f1, pd.DataFrame())
    if len(scores) > _MOST_SCORES:
        scores = np.unique(np.quantile(scores, np.linspace(0, 1, _MOST_SCORES)))
    # Between the scores, so that equal decisions have one threshold; the first one keeps all.
    thresholds = np.concatenate([scores[:1], (scores[:-1] + scores[1:]) / 2])
    found = sweep_detections(
        detections.at, names, truth, grid(EventSettings(), thresholds), criterion
    )
    return Choice(best_setting(found), float(found.overall["f1"].max()), _tried(found))


def _sure(truth: pd.DataFrame, recordings: int) -> pd.DataFrame:
    """Return the annotations that nobody doubted; without one nothing can be chosen."""
    sure = truth[~truth["is_unsure"]]
    if sure.empty or not recordings:
        raise DataError(
            "no threshold can be chosen",
            ["dev: holds no event; put a group with events into dev, or choose another label"],
        )
    return sure


def _tried(found: Sweep) -> pd.DataFrame:
    """Return one row a setting: what is set, and the rates that it has."""
    columns = ["threshold", "low_threshold", "min_duration_s", "max_gap_s"]
    rows = [[getattr(one, name) for name in columns] for one in found.settings]
    rates = found.overall[["precision", "recall", "f1"]]
    return pd.concat([pd.DataFrame(rows, columns=columns), rates], axis=1)


def _gap(sure: pd.DataFrame) -> float:
    """Return the 5th percentile of the gaps between events of a recording, 0 if there is none."""
    ordered = sure.sort_values(["recording_id", "begin_s"])
    gaps = ordered["begin_s"] - ordered.groupby("recording_id")["end_s"].shift()
    apart = gaps[gaps > 0].to_numpy()
    return float(np.percentile(apart, 5)) if len(apart) else 0.0
