"""What a detector found in some recordings, at any settings: of score tracks, or of tables.

The events of other programs are what they are: of all settings only the threshold applies to them,
and only where their tables have scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.detection.events.finding import find_events
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.tracks import ScoreTrack

FloatArray = npt.NDArray[np.float64]


class Detections(Protocol):
    """The detections of one detector in some recordings."""

    @property
    def durations(self) -> Mapping[str, float]:
        """Length of each recording in seconds, also of those without a detection."""

    @property
    def scores(self) -> FloatArray:
        """Every score that a threshold can divide, in log odds; empty: there are none."""

    def at(self, settings: EventSettings | None) -> pd.DataFrame:
        """Return the table of detections at these settings; None: all that there are."""


@dataclass(frozen=True, eq=False)
class TrackDetections:
    """Events made of score tracks."""

    tracks: Sequence[ScoreTrack]

    @property
    def durations(self) -> Mapping[str, float]:
        """Length of each recording in seconds."""
        return {track.info.recording_id: track.info.duration_s for track in self.tracks}

    @property
    def scores(self) -> FloatArray:
        """The score of every window."""
        parts = [track.logit.astype(np.float64) for track in self.tracks]
        return np.concatenate([np.empty(0), *parts])

    def at(self, settings: EventSettings | None) -> pd.DataFrame:
        """Return the table of detections at these settings; None: at the usual ones."""
        return find_events(self.tracks, settings or EventSettings())


@dataclass(frozen=True, eq=False)
class TableDetections:
    """Events that were read from tables.

    Attributes:
        events: A table of detections; `score` in log odds, or null in every row.
        durations: Length of each recording in seconds, also of those without a detection.
    """

    events: pd.DataFrame
    durations: Mapping[str, float]

    @property
    def scores(self) -> FloatArray:
        """The score of every event, where they have scores."""
        return self.events["score"].dropna().to_numpy(np.float64)

    def at(self, settings: EventSettings | None) -> pd.DataFrame:
        """Return the events whose score reaches the threshold; None: all of them."""
        if settings is None:
            return self.events
        kept = self.events["score"] >= settings.threshold
        return self.events[kept].reset_index(drop=True)
