"""A set of recordings as stages pass it on: `recordings.csv` and `annotations.csv`, with the audio.

The tables are `annotations/own_tables.py`'s, the form in which a user would give them. Audio of the
user is never copied: the tables hold its digests, and where it lies is said at run time.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from qsm_core.detection.annotations.own_tables import read_own_tables
from qsm_core.detection.recordings import RecordingSet


def read_prepared(folder: Path, *, audio: str | Path | None = None) -> RecordingSet:
    """Read a set.

    Args:
        folder: With the two tables.
        audio: Folder that the paths are relative to; by default `folder`.

    Raises:
        DataError: A table is missing or damaged.
    """
    return replace(read_own_tables(folder), root=Path(audio or folder))
