"""Tables of events without their audio: what other programs found, what is scored.

A recording is named by the base name of its audio file: without folders and audio suffix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qsm_core.detection.annotations.audio_files import base_name, name_of_table, tables_below
from qsm_core.detection.annotations.forms import TableForm
from qsm_core.detection.annotations.marks import Mark, Marks
from qsm_core.detection.annotations.reading import TABLE_SUFFIXES, read_table
from qsm_core.detection.recordings import ANNOTATION_COLUMNS, DETECTION_COLUMNS
from qsm_core.errors import DataError

_VALUES = ("begin_s", "end_s", "low_hz", "high_hz", "quality", "is_unsure", "score", "peak")


@dataclass(frozen=True, eq=False)
class EventTables:
    """The events of one or several tables.

    Attributes:
        events: The columns of annotations and of detections together, and `verdict`.
        recordings: The base names of all recordings that the tables are about, also those of
            tables without a row.
        notes: What the user should know.
    """

    events: pd.DataFrame
    recordings: tuple[str, ...]
    notes: tuple[str, ...]


def read_event_tables(
    path: Path,
    form: TableForm = "auto",
    *,
    label: str = "event",
    label_column: str | None = None,
) -> EventTables:
    """Read a table of events, or all those below a folder.

    Args:
        path: The table or the folder.
        form: Its form; auto: found by looking.
        label: Label of events whose table has none.
        label_column: Column with the labels, where its name is not a usual one.

    Raises:
        DataError: There is no table, or rows are wrong; all of them are listed.
    """
    if not path.exists():
        raise DataError("cannot read the events", [f"{path}: there is no such file or folder"])
    paths = tables_below(path, TABLE_SUFFIXES) if path.is_dir() else [path]
    tables: list[Marks] = []
    problems: list[str] = []
    for each in paths:
        try:
            tables.append(read_table(each, form, label_column=label_column))
        except DataError as error:
            # Beside the tables of a folder other files may lie, such as a README.
            problems += error.problems
    if path.is_dir() and tables:
        left_out = [f"{len(problems)} files are no tables of events and are left out"]
        notes, problems = left_out if problems else [], []
    else:
        notes = []
    problems += [problem for table in tables for problem in table.problems]
    problems += [
        f"{table.path}, line {mark.line}: the event ends at {mark.end_s:g} s, before its begin at "
        f"{mark.begin_s:g} s"
        for table in tables
        for mark in table.marks
        if mark.end_s < mark.begin_s
    ]
    if not tables and not problems:
        problems.append(f"{path}: holds no table of events ({', '.join(TABLE_SUFFIXES)})")
    if problems:
        left = len(problems) - 40
        shown = [*problems[:40], f"and {left} more"] if left > 0 else problems
        raise DataError("cannot read the events", shown)
    notes += [note for table in tables for note in table.notes]
    rows = [_row(table, mark, label) for table in tables for mark in table.marks]
    named = {str(row["recording_id"]) for row in rows}
    named |= {base_name(name) for table in tables for name in table.silent}
    empty = [table for table in tables if not table.marks and not table.silent]
    named |= {name_of_table(table.path) for table in empty if path.is_dir()}
    return EventTables(_frame(rows), tuple(sorted(named)), tuple(notes))


def _row(table: Marks, mark: Mark, label: str) -> dict[str, object]:
    name = base_name(mark.file) if mark.file else name_of_table(table.path)
    return {
        "recording_id": name,
        "label": mark.label or label,
        "origin": f"{table.path}, line {mark.line}",
        "verdict": mark.verdict,
        **{value: getattr(mark, value) for value in _VALUES},
    }


def _frame(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    kinds = {**ANNOTATION_COLUMNS, **DETECTION_COLUMNS, "verdict": "str"}
    frame = pd.DataFrame(list(rows), columns=list(kinds)).astype(kinds)
    keys = ["recording_id", "begin_s", "end_s", "label"]
    return frame.sort_values(keys, kind="stable", ignore_index=True)
