"""`recordings.csv` and `annotations.csv`: the form in which this program keeps recordings.

The columns are those of `detection/recordings.py`; other spellings are read too (recording, group,
file, label, ...), and further columns are left out. Only `path` must be there in the first table,
and in the second the recording, begin and end.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from qsm_core.detection.annotations.columns import simple_name
from qsm_core.detection.annotations.marks import number_of, shown
from qsm_core.detection.annotations.reading import read_table
from qsm_core.detection.recordings import RecordingSet, as_annotations, as_recordings
from qsm_core.errors import DataError
from qsm_core.tables.delimited import read_table as read_delimited

RECORDINGS_FILE = "recordings.csv"
ANNOTATIONS_FILE = "annotations.csv"
_SPELLINGS = {
    "recording_id": ("recording_id", "recording", "id"),
    "group_id": ("group_id", "group", "tape", "individual"),
    "path": ("path", "file", "filename", "file_name", "audio", "audio_path"),
    "channel": ("channel",),
    "split": ("split",),
    "sha256": ("sha256",),
    "source_path": ("source_path",),
    "source_offset_s": ("source_offset_s",),
    "sample_rate_hz": ("sample_rate_hz",),
    "channels": ("channels",),
    "num_samples": ("num_samples",),
}
_NUMBERS = ("channel", "source_offset_s", "sample_rate_hz", "channels", "num_samples")
_LARGEST = 2.0**53  # whole numbers below are exact
_SPLITS = {"train": "train", "dev": "dev", "val": "dev", "validation": "dev", "test": "test"}


def read_own_tables(folder: Path) -> RecordingSet:
    """Read both tables of a folder.

    Raises:
        DataError: One of them is missing or wrong; every problem is listed.
    """
    recordings_path, annotations_path = folder / RECORDINGS_FILE, folder / ANNOTATIONS_FILE
    recordings = _recordings(recordings_path)
    known = set(recordings["recording_id"])
    # A row may name a recording by its path.
    by_path = dict(zip(recordings["path"], recordings["recording_id"], strict=True))
    marks = read_table(annotations_path)
    problems = list(marks.problems)
    events = []
    for mark in marks.marks:
        name = mark.file if mark.file in known else by_path.get(mark.file)
        if name is None:
            problems.append(
                f"{annotations_path}, line {mark.line}: there is no recording "
                f"{shown(str(mark.file))} in {RECORDINGS_FILE}"
            )
            continue
        events.append(
            {
                "recording_id": name,
                "label": mark.label or "event",
                "origin": f"{annotations_path}, line {mark.line}",
                **{
                    column: getattr(mark, column)
                    for column in ("begin_s", "end_s", "low_hz", "high_hz", "quality", "is_unsure")
                },
            }
        )
    if problems:
        raise DataError("the annotations cannot be used", _first(problems))
    return RecordingSet(
        recordings=recordings,
        annotations=as_annotations(pd.DataFrame(events)),
        root=folder,
        kind="recordings.csv",
    )


def write_own_tables(folder: Path, found: RecordingSet) -> None:
    """Write both tables; paths stay as they are, so the folder should be the root of the set."""
    folder.mkdir(parents=True, exist_ok=True)
    found.recordings.to_csv(folder / RECORDINGS_FILE, index=False, lineterminator="\n")
    found.annotations.to_csv(folder / ANNOTATIONS_FILE, index=False, lineterminator="\n")


def _recordings(path: Path) -> pd.DataFrame:
    table = read_delimited(path)
    raw = table.frame
    names = {simple_name(str(name)): str(name) for name in raw.columns}
    taken: dict[str, pd.Series] = {}
    for column, spellings in _SPELLINGS.items():
        spelled = next((names[one] for one in spellings if one in names), None)
        if spelled is not None:
            taken[column] = raw[spelled].str.strip().replace("", None)
    if "path" not in taken:
        known = ", ".join(map(str, raw.columns))
        raise DataError(
            "the recordings cannot be used", [f"{path}: has no column path; it has: {known}"]
        )
    frame = pd.DataFrame(taken)
    if "recording_id" not in frame:
        frame["recording_id"] = frame["path"]
    twice = frame["recording_id"].notna() & frame["recording_id"].duplicated()
    wrong = [
        (frame["path"].isna() | frame["recording_id"].isna(), "path or name is empty", None),
        (twice, "appears twice", "recording_id"),
    ]
    for column in _NUMBERS:
        if column in frame:
            numbers = frame[column].map(_number_or_none, na_action="ignore").astype("float64")
            wrong.append((frame[column].notna() & numbers.isna(), "is no number", column))
            if column != "source_offset_s":
                broken = (numbers < 0) | (numbers % 1 != 0) | (numbers >= _LARGEST)
                text = "is no whole number of 0 or more"
                wrong.append((numbers.notna() & broken, text, column))
            frame[f"{column} read"] = numbers
    if "split" in frame:
        frame["split read"] = frame["split"].str.lower().map(_SPLITS)
        allowed = "is no split; allowed are train, dev (also val) and test"
        wrong.append((frame["split"].notna() & frame["split read"].isna(), allowed, "split"))
    problems = [
        f"{path}, line {table.lines[row]}: "
        + (f"{column} {shown(str(frame.at[row, column]))} " if column else "")
        + text
        for rows, text, column in wrong
        for row in frame.index[rows]
    ]
    frame = frame.assign(
        **{
            column: frame[f"{column} read"]
            for column in (*_NUMBERS, "split")
            if f"{column} read" in frame
        }
    )
    if problems:
        raise DataError("the recordings cannot be used", _first(problems))
    return as_recordings(frame)


def _number_or_none(text: str) -> float | None:
    try:
        return number_of(text)
    except ValueError:
        return None


def _first(problems: list[str], most: int = 40) -> list[str]:
    left = len(problems) - most
    return problems if left <= 0 else [*problems[:most], f"and {left} more"]
