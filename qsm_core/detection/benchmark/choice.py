"""Choose threshold and post-processing of a detector on dev groups.

Thresholds first, then around the best one whatever else makes events: hysteresis, shortest
duration, gaps that are closed. Durations and gaps are tried in proportion to those of the dev
annotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.detection.events.finding import find_events
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.rates import summary
from qsm_core.detection.tracks import ScoreTrack
from qsm_core.errors import DataError

THRESHOLDS = tuple(np.arange(-5.0, 5.25, 0.5))  # log odds
_SHORTEST = 0.5  # share of the durations' 5th percentile below which an event is too short
_GAPS = (0.0, 0.5)  # shares of the gaps' 5th percentile that are closed
_HYSTERESIS = (0.0, 1.0, 2.0)  # log odds below the threshold


@dataclass(frozen=True)
class Choice:
    """What was chosen on dev.

    Attributes:
        settings: How events are made.
        f1: On dev, at the settings.
        tried: One row for each setting that was tried, with precision, recall and f1 on dev.
    """

    settings: EventSettings
    f1: float
    tried: pd.DataFrame


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
    sure = truth[~truth["is_unsure"]]
    if sure.empty or not tracks:
        raise DataError(
            "no threshold can be chosen",
            ["dev: holds no event; put a group with events into dev, or choose another label"],
        )
    durations = (sure["end_s"] - sure["begin_s"]).to_numpy()
    shortest = _SHORTEST * float(np.percentile(durations, 5))
    base = EventSettings(min_duration_s=shortest)
    first = _measured(tracks, truth, criterion, [replace(base, threshold=t) for t in THRESHOLDS])
    best = first[_middle(first)]["settings"]
    around = [
        EventSettings(
            threshold=float(threshold),
            low_threshold=float(threshold - lower) if lower else None,
            min_duration_s=duration,
            max_gap_s=gap,
        )
        for threshold in (best.threshold, best.threshold - 0.25, best.threshold + 0.25)
        for lower in _HYSTERESIS
        for duration in (shortest, 0.0)
        for gap in (share * _gap(sure) for share in _GAPS)
    ]
    rows = first + _measured(tracks, truth, criterion, around)
    top = rows[_middle(rows)]
    columns = ("threshold", "low_threshold", "min_duration_s", "max_gap_s")
    tried = pd.DataFrame(
        [
            {name: getattr(row["settings"], name) for name in columns}
            | {name: row[name] for name in ("precision", "recall", "f1")}
            for row in rows
        ]
    )
    return Choice(top["settings"], float(top["f1"]), tried)


def _middle(rows: Sequence[dict[str, Any]]) -> int:
    """Return the index of the best row; of equals, the one whose threshold is their median."""
    f1 = np.array([row["f1"] for row in rows])
    equal = np.flatnonzero(f1 >= f1.max())
    thresholds = np.array([rows[int(index)]["settings"].threshold for index in equal])
    return int(equal[np.argmin(np.abs(thresholds - np.median(thresholds)))])


def _measured(
    tracks: Sequence[ScoreTrack],
    truth: pd.DataFrame,
    criterion: Overlap,
    settings: Iterable[EventSettings],
) -> list[dict[str, Any]]:
    names = [track.info.recording_id for track in tracks]
    rows = []
    for one in settings:
        found = find_events(tracks, one)
        values = summary(compare(truth, found, criterion, recordings=names, by_label=False))
        f1 = 0.0 if np.isnan(values["f1"]) else values["f1"]
        rows.append({"settings": one, **values, "f1": f1})
    return rows


def _gap(sure: pd.DataFrame) -> float:
    """Return the 5th percentile of the gaps between events of a recording, 0 if there is none."""
    ordered = sure.sort_values(["recording_id", "begin_s"])
    gaps = ordered["begin_s"] - ordered.groupby("recording_id")["end_s"].shift()
    apart = gaps[gaps > 0].to_numpy()
    return float(np.percentile(apart, 5)) if len(apart) else 0.0
