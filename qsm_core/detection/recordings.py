"""Recordings, what people annotated in them, and what detectors found: three tables.

Recordings, one row each:

    recording_id    name; unique
    group_id        tape, day or individual: what recordings share; never crosses splits
    path            audio file, relative to the root of the set or absolute, with forward slashes;
                    null where only the annotations are known
    sample_rate_hz  of the file; null until it is read
    channels        of the file
    num_samples     of each channel, at the file's own rate
    channel         the channel to listen to, counted from 0; null: the mean of all
    sha256          of the file
    split           train | dev | test | null (not divided yet)

Annotations, one row for each event that a person marked:

    recording_id
    begin_s, end_s  in the recording's own clock: 0 is the first sample of its file
    low_hz, high_hz null where the annotation has no frequencies
    label           what the sound is
    quality         1 is best; null where nobody said
    is_unsure       whether the annotator could not say that it is this sound (UNK of DCASE):
                    neither a hit nor a false alarm
    origin          file and line from which the row was read

Detections, one row for each event that a detector found: recording_id, begin_s, end_s, low_hz,
high_hz, label as above, and

    score           mean log odds of the event, or whatever another program calls its score; null
                    where it gives none
    peak            highest log odds in the event

Both are events. A table of events is sorted by recording and begin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from qsm_core.labels import Split

# pandas types; every column that may be null is one that can hold it.
RECORDING_COLUMNS: Mapping[str, str] = {
    "recording_id": "str",
    "group_id": "str",
    "path": "str",
    "sample_rate_hz": "Int64",
    "channels": "Int64",
    "num_samples": "Int64",
    "channel": "Int64",
    "sha256": "str",
    "split": "str",
}
_EVENT_COLUMNS: Mapping[str, str] = {
    "recording_id": "str",
    "begin_s": "float64",
    "end_s": "float64",
    "low_hz": "float64",
    "high_hz": "float64",
    "label": "str",
}
ANNOTATION_COLUMNS: Mapping[str, str] = {
    **_EVENT_COLUMNS,
    "quality": "Int64",
    "is_unsure": "bool",
    "origin": "str",
}
DETECTION_COLUMNS: Mapping[str, str] = {**_EVENT_COLUMNS, "score": "float64", "peak": "float64"}


@dataclass(frozen=True)
class Recording:
    """One recording whose audio was found.

    Args:
        recording_id: Name, unique in its set.
        group_id: Tape, day or individual.
        path: The audio file, as it can be opened.
        sample_rate_hz: Of the file.
        channels: Of the file.
        num_samples: Of each channel.
        sha256: Of the file.
        channel: The channel to listen to, from 0; None for the mean of all.
        split: Where it belongs; None where that was not decided.
    """

    recording_id: str
    group_id: str
    path: Path
    sample_rate_hz: int
    channels: int
    num_samples: int
    sha256: str
    channel: int | None = None
    split: Split | None = None

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate_hz


@dataclass(frozen=True, eq=False)
class RecordingSet:
    """Recordings and their annotations.

    Args:
        recordings: A table of recordings.
        annotations: A table of annotations.
        root: What relative paths are relative to.
        kind: The form from which it was read.
        notes: Decisions of the importer that the user should know, one sentence each.
        counts: What was counted while reading, such as selections in two views.
    """

    recordings: pd.DataFrame
    annotations: pd.DataFrame
    root: Path
    kind: str
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.recordings)

    def with_recordings(self, recordings: pd.DataFrame) -> RecordingSet:
        """Return the set with another table of recordings."""
        return replace(self, recordings=as_recordings(recordings))

    def listed(self) -> list[Recording]:
        """Return the recordings one by one; all must have been probed (`probe.py`)."""
        return [
            Recording(
                recording_id=str(row.recording_id),
                group_id=str(row.group_id),
                path=self.root / str(row.path),
                sample_rate_hz=int(row.sample_rate_hz),
                channels=int(row.channels),
                num_samples=int(row.num_samples),
                sha256=str(row.sha256),
                channel=None if pd.isna(row.channel) else int(row.channel),
                split=None if pd.isna(row.split) else row.split,
            )
            for row in self.recordings.itertuples()
        ]


def as_recordings(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of recordings with its columns and types, sorted by name."""
    return _typed(frame, RECORDING_COLUMNS).sort_values("recording_id", ignore_index=True)


def as_annotations(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of annotations with its columns and types, sorted."""
    filled = frame if "is_unsure" in frame else frame.assign(is_unsure=False)
    return _in_order(_typed(filled, ANNOTATION_COLUMNS))


def as_detections(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of detections with its columns and types, sorted."""
    return _in_order(_typed(frame, DETECTION_COLUMNS))


def no_annotations() -> pd.DataFrame:
    """Return a table of annotations without a row."""
    return as_annotations(pd.DataFrame())


def no_detections() -> pd.DataFrame:
    """Return a table of detections without a row."""
    return as_detections(pd.DataFrame())


def _typed(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: frame[name].astype(kind)
            if name in frame
            else pd.Series([None] * len(frame), index=frame.index).astype(kind)
            for name, kind in columns.items()
        }
    )


def _in_order(events: pd.DataFrame) -> pd.DataFrame:
    keys = ["recording_id", "begin_s", "end_s", "label"]
    return events.sort_values(keys, kind="stable", ignore_index=True)
