"""Tables whose first line names the columns: Raven's, BirdNET's, DCASE's, any CSV of events.

Commas, semicolons or tabs. Where Raven shows one selection in several views, the table has a row
for each: the selection is counted once, and the row with frequencies is taken.

A row that names an audio file and nothing else says that it holds no event, as in DCASE's tables of
sound events.

DCASE few-shot tables have a column for each class with POS, NEG or UNK: a row is an event of every
class in which it is POS, an unsure one of those in which it is UNK, and none where it is NEG.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from qsm_core.detection.annotations.clock import Span, from_length, from_stream
from qsm_core.detection.annotations.columns import Columns, Time, find_columns, simple_name
from qsm_core.detection.annotations.marks import Mark, Marks, number_of, shown
from qsm_core.tables.quoting import split_rows

_POS, _NEG, _UNK = "POS", "NEG", "UNK"
_TRUE = frozenset({"true", "1", "yes"})
_QUALITY = re.compile(r"^\s*Q?([0-9]{1,9})(?:\.0*)?\s*$", re.IGNORECASE)
_COMMENTED_QUALITY = re.compile(r"\bQ(\d)\b", re.IGNORECASE)


def delimiter_of(line: str) -> str:
    """Return the delimiter that a header uses most."""
    return max("\t;,", key=line.count)


def header_of(lines: Sequence[str]) -> list[str]:
    """Return the column names of a table."""
    rows, _ = _rows(lines[:1])
    return rows[0][1] if rows else []


def read_headed(path: Path, lines: Sequence[str], label_column: str | None = None) -> Marks:
    """Read a table with a header.

    Args:
        path: The table, for its problems.
        lines: Its lines.
        label_column: The column with the labels, where its name is not a usual one.
    """
    header = header_of(lines)
    columns = find_columns(header, label_column)
    kind = _kind(header, columns)
    rows, problems = _rows(lines)
    rows, problems = rows[1:], [f"{path}, {problem}" for problem in problems]
    problems += [
        f"{path}, line {line}: {len(row)} cells, but the first line names {len(header)} columns"
        for line, row in rows
        if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :])
    ]
    if label_column is not None and simple_name(label_column) not in map(simple_name, header):
        named = ", ".join(name for name in header if name)
        problems.append(f"{path}: has no column {label_column!r} for labels; it has: {named}")
    classes = _classes(columns, rows) if kind == "dcase" else ()
    columns, noted = _with_only_text_as_label(path, columns, rows, kind)
    marks: list[Mark] = []
    seen: dict[tuple[str, str], tuple[str, int]] = {}
    views = 0
    silent: list[str] = []
    for line, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if columns.file is not None and not any(_cell(row, at) for at in _of_event(columns)):
            silent.append(_cell(row, columns.file))
            continue
        try:
            found = list(_marks(line, row, columns, classes))
        except _WrongCell as error:
            problems.append(f"{path}, line {line}: column {header[error.column]}: {error.reason}")
            continue
        # Several tables may have been joined to one: then numbers repeat in the same view.
        selection, view = _cell(row, columns.selection), _cell(row, columns.view)
        key = (selection, _cell(row, columns.file))
        other_view, place = seen.get(key, (view, -1))
        if selection and view != other_view:
            views += 1
            if found and marks[place].low_hz is None and found[0].low_hz is not None:
                marks[place] = found[0]
            continue
        if found:
            seen[key] = (view, len(marks))
        marks += found
    notes = noted + _notes(path, columns, marks, kind)
    counts = {"selections in several views": views} if views else {}
    return Marks(path, kind, tuple(marks), tuple(problems), notes, counts, tuple(silent))


def _of_event(columns: Columns) -> Iterator[int | None]:
    for time in (columns.begin, columns.end, columns.length):
        yield None if time is None else time.column
    yield columns.label


class _WrongCell(ValueError):  # noqa: N818  (never leaves this module)
    def __init__(self, column: int, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


def _kind(header: Sequence[str], columns: Columns) -> str:
    names = {simple_name(name) for name in header}
    if {"audiofilename", "starttime", "endtime"} <= names:
        return "dcase"
    raven = columns.begin is not None and "begin_time_s" in names
    return (
        "raven" if raven and (columns.selection is not None or columns.view is not None) else "csv"
    )


def _rows(lines: Sequence[str]) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """Return line numbers and cells, and what is wrong; Raven writes no quotes between tabs."""
    if not lines:
        return [], []
    delimiter = delimiter_of(lines[0])
    if delimiter == "\t":
        return [(number, line.split("\t")) for number, line in enumerate(lines, 1)], []
    rows = split_rows(lines, delimiter)
    return list(zip(rows.lines, rows.cells, strict=True)), rows.problems


def _classes(
    columns: Columns, rows: Sequence[tuple[int, list[str]]]
) -> tuple[tuple[str, int], ...]:
    """Return the columns that hold nothing but POS, NEG and UNK."""
    places = list(columns.others)
    # A class may be called Q or like one of the usual columns.
    places += [("Q", columns.quality)] if columns.quality is not None else []
    allowed = {_POS, _NEG, _UNK}
    return tuple(
        (name, place)
        for name, place in places
        if rows and {_cell(row, place) for _, row in rows if any(row)} <= allowed
    )


def _marks(
    line: int, row: Sequence[str], columns: Columns, classes: Sequence[tuple[str, int]]
) -> Iterator[Mark]:
    span = _span(row, columns)
    numbers = {
        name: _number(row, getattr(columns, name)) for name in ("low", "high", "score", "peak")
    }
    as_class = any(place == columns.quality for _, place in classes)
    mark = Mark(
        line=line,
        begin_s=span.begin_s,
        end_s=span.end_s,
        label=_cell(row, columns.label) or None,
        file=_cell(row, columns.file) or None,
        low_hz=numbers["low"],
        high_hz=numbers["high"],
        quality=None if as_class else _quality(row, columns),
        is_unsure=_cell(row, columns.is_unsure).lower() in _TRUE,
        score=numbers["score"],
        peak=numbers["peak"],
        verdict=_cell(row, columns.verdict) or None,
    )
    if not classes:
        yield mark
    for name, place in classes:
        value = _cell(row, place)
        if value != _NEG:
            yield Mark(**{**mark.__dict__, "label": name, "is_unsure": value == _UNK})


def _span(row: Sequence[str], columns: Columns) -> Span:
    begin = _seconds(row, columns.begin)
    if columns.end is not None:
        end = _seconds(row, columns.end)
    else:
        end = from_length(begin, _seconds(row, columns.length)).end_s
    if columns.file_offset is not None and _cell(row, columns.file_offset.column):
        return from_stream(Span(begin, end), _seconds(row, columns.file_offset))
    return Span(begin, end)


def _seconds(row: Sequence[str], time: Time | None) -> float:
    if time is None:
        return 0.0
    value = _number(row, time.column)
    if value is None:
        raise _WrongCell(time.column, "is empty; it needs a number")
    return value / time.per_second


def _number(row: Sequence[str], column: int | None) -> float | None:
    text = _cell(row, column)
    if column is None or not text:
        return None
    try:
        return number_of(text)
    except ValueError:
        raise _WrongCell(column, f"{shown(text)} is no number") from None


def _quality(row: Sequence[str], columns: Columns) -> int | None:
    text = _cell(row, columns.quality)
    if text and columns.quality is not None:
        found = _QUALITY.match(text)
        if found is None:
            raise _WrongCell(columns.quality, f"{shown(text)} is no quality such as 1 or Q1")
        return int(found[1])
    commented = _COMMENTED_QUALITY.search(_cell(row, columns.comments))
    return int(commented[1]) if commented else None


def _cell(row: Sequence[str], column: int | None) -> str:
    return "" if column is None or column >= len(row) else row[column].strip()


def _with_only_text_as_label(
    path: Path, columns: Columns, rows: Sequence[tuple[int, list[str]]], kind: str
) -> tuple[Columns, tuple[str, ...]]:
    """Take the one column of words without a meaning as that of the labels, where none has one."""
    if columns.label is not None or kind == "dcase":
        return columns, ()
    words = [
        (name, place)
        for name, place in columns.others
        if any(re.search("[^0-9.,+-]", _cell(row, place)) for _, row in rows)
    ]
    if len(words) != 1:
        return columns, ()
    name, place = words[0]
    return replace(columns, label=place), (f"{path}: labels are taken from column {name!r}",)


def _notes(path: Path, columns: Columns, marks: Sequence[Mark], kind: str) -> tuple[str, ...]:
    files = {mark.file for mark in marks if mark.file}
    if kind == "raven" and len(files) > 1 and columns.file_offset is None:
        return (
            f"{path}: names {len(files)} files but has no column File Offset (s); times are taken "
            "as those in each file. In Raven, add that measurement if files were opened together",
        )
    return ()
