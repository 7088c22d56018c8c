"""From a score track to events.

1. Runs of frames at or above the low threshold that reach the threshold somewhere.
2. Each run is a span; spans that touch, overlap, or are at most `max_gap_s` apart become one.
3. Spans are cut to the recording; too short and too long ones are left out.

All of it is done in whole samples of the track's clock; seconds come last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.detection.events.frames import Frames, frames_of
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.recordings import as_detections, no_detections
from qsm_core.detection.tracks import ScoreTrack, TrackInfo
from qsm_core.errors import ConfigurationError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Spans(NamedTuple):
    """Events of one track, in time order; each array has shape (E,).

    Attributes:
        begin: First sample.
        end: The sample behind the last one.
        score: Mean log odds of the frames from the first to the last one of the event.
        peak: Highest of these.
    """

    begin: IntArray
    end: IntArray
    score: FloatArray
    peak: FloatArray


def find_events(tracks: Iterable[ScoreTrack], settings: EventSettings) -> pd.DataFrame:
    """Return the table of detections in tracks (`recordings.py`).

    Raises:
        ConfigurationError: The settings contradict each other.
        DataError: The hop of the settings is no multiple of that of a track.
    """
    found = [_table(track.info, find_spans(track, settings)) for track in tracks]
    return as_detections(pd.concat(found, ignore_index=True)) if found else no_detections()


def find_spans(track: ScoreTrack, settings: EventSettings) -> Spans:
    """Return the events of one track in samples of its clock; see `find_events`."""
    problems = settings.problems()
    if problems:
        raise ConfigurationError("events cannot be made so", problems)
    rate = track.info.sample_rate_hz
    if settings.hop_s is not None:
        track = track.with_hop(round(settings.hop_s * rate))
    frames = frames_of(track, settings.localisation)
    return spans_of(frames, settings, rate, track.info.num_samples)


def spans_of(frames: Frames, settings: EventSettings, rate: int, num_samples: int) -> Spans:
    """Return the events in frames, in samples at `rate`, cut to a recording of `num_samples`."""
    first, last = _runs(frames.score, settings)
    begin = frames.first + first * frames.step
    end = frames.first + last * frames.step + frames.extent
    # Begins and ends both rise, so that a span only has to be compared with the one before it.
    if len(begin):
        opens = np.concatenate([[True], begin[1:] - end[:-1] > round(settings.max_gap_s * rate)])
        closes = np.concatenate([opens[1:], [True]])
        first, last, begin, end = first[opens], last[closes], begin[opens], end[closes]
    begin, end = np.clip(begin, 0, num_samples), np.clip(end, 0, num_samples)
    length = end - begin
    kept = (length > 0) & (length >= round(settings.min_duration_s * rate))
    if settings.max_duration_s is not None:
        kept &= length <= round(settings.max_duration_s * rate)
    score, peak = _scores(frames.score, first[kept], last[kept])
    return Spans(begin[kept], end[kept], score, peak)


def _runs(score: npt.NDArray[np.floating], settings: EventSettings) -> tuple[IntArray, IntArray]:
    """Return the first and the last frame of each run."""
    low = settings.threshold if settings.low_threshold is None else settings.low_threshold
    active = _reaches(score, low, strict=settings.strict)
    edges = np.diff(active.astype(np.int8), prepend=0, append=0)
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    if settings.low_threshold is None:
        return first, last
    certain = np.concatenate(
        [[0], np.cumsum(_reaches(score, settings.threshold, strict=settings.strict))]
    )
    kept = certain[last + 1] > certain[first]
    return first[kept], last[kept]


def _reaches(score: npt.NDArray[np.floating], threshold: float, *, strict: bool) -> BoolArray:
    # Compared in double precision: a threshold must not be rounded to that of the scores.
    values = score.astype(np.float64)
    reached: BoolArray = values > threshold if strict else values >= threshold
    return reached


def _scores(
    score: npt.NDArray[np.floating], first: IntArray, last: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and highest score of the frames first ... last of each event."""
    if len(first) == 0:
        return np.empty(0), np.empty(0)
    # With one more frame, so that `last + 1` is an index; every second part is between events.
    cuts = np.column_stack([first, last + 1]).ravel()
    padded = np.append(score.astype(np.float64), -np.inf)
    peak = np.maximum.reduceat(padded, cuts)[::2]
    padded[-1] = 0.0
    mean = np.add.reduceat(padded, cuts)[::2] / (last + 1 - first)
    return mean, peak


def _table(info: TrackInfo, spans: Spans) -> pd.DataFrame:
    return as_detections(
        pd.DataFrame(
            {
                "recording_id": [info.recording_id] * len(spans.begin),
                "begin_s": spans.begin / info.sample_rate_hz,
                "end_s": spans.end / info.sample_rate_hz,
                "label": [info.label] * len(spans.begin),
                "score": spans.score,
                "peak": spans.peak,
            }
        )
    )
