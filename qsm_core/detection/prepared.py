"""A set of recordings as stages pass it on: two tables, beside the audio or apart from it.

    recordings.parquet    see `recordings.py`; paths are relative to the folder of the audio
    annotations.parquet

Audio of the user is never copied: the tables hold its digests, and where it lies is said at run
time.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from qsm_core.detection.recordings import RecordingSet, as_annotations, as_recordings
from qsm_core.errors import DataError

RECORDINGS_FILE = "recordings.parquet"
ANNOTATIONS_FILE = "annotations.parquet"


def write_prepared(folder: Path, prepared: RecordingSet) -> None:
    """Write the tables of a set into a folder."""
    prepared.recordings.to_parquet(folder / RECORDINGS_FILE, index=False)
    prepared.annotations.to_parquet(folder / ANNOTATIONS_FILE, index=False)


def read_prepared(folder: Path, *, audio: str | Path | None = None) -> RecordingSet:
    """Read a set.

    Args:
        folder: With the two tables.
        audio: Folder that the paths are relative to; by default `folder`.

    Raises:
        DataError: A table is missing or damaged.
    """
    try:
        recordings = as_recordings(pd.read_parquet(folder / RECORDINGS_FILE))
        annotations = as_annotations(pd.read_parquet(folder / ANNOTATIONS_FILE))
    except (OSError, pa.ArrowException) as error:
        raise DataError("cannot read the prepared recordings", [f"{folder}: {error}"]) from error
    return RecordingSet(recordings, annotations, Path(audio or folder), kind="prepared")
