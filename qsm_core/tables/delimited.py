"""A table as people, spreadsheets and statistics programs write it: CSV, TSV, gzipped or not.

What is found out from the file itself, and said in a note where it could surprise:

- the delimiter: comma, semicolon, tab, bar, or R's space, from the header or a line `sep=;`;
- the encoding: UTF-8, UTF-16 or UTF-32 (`tables.decoding`);
- what a quote is (`tables.quoting`);
- a first column of row numbers, as R and pandas write one, which is left out;
- decimal commas in columns that hold numbers.

Cells stay text. Each line ends up in a row, in a cell, or in the error: a row with another number
of cells than the header is refused, since to guess which cell is missing would move labels to
other clips.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qsm_core.errors import DataError
from qsm_core.plurals import counted
from qsm_core.spelling import normalized
from qsm_core.tables.decoding import TITLE, read_first_lines, read_lines
from qsm_core.tables.quoting import Rows, split_rows

SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

_DELIMITERS = (",", ";", "\t", "|")
_SAID = re.compile(r'^"?sep=(.)"?$')
_QUOTED_BY_SPACES = re.compile(r'"[^"]*"(?: "[^"]*")+ *')  # how R writes a table
_ROW_NAMES = ("", "Unnamed: 0")
_NO_NUMBER = ("NA", "N/A", "NaN", "nan", "NULL", "null", "None")
_WITH_COMMA = re.compile(r"[+-]?\d+(?:,\d+)?(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+")
_MOST_SHOWN = 10


@dataclass(frozen=True, eq=False)
class DelimitedTable:
    """A table and how it was read.

    Args:
        frame: Columns by name; every cell is text, an empty one the empty text.
        lines: The line of the file on which each row begins, counted from 1.
        delimiter: What stands between the cells.
        notes: What was found out and could surprise, one sentence each.
    """

    frame: pd.DataFrame
    lines: tuple[int, ...]
    delimiter: str
    notes: tuple[str, ...] = ()


def is_delimited(path: Path) -> bool:
    """Say whether a file is a delimited table by its name."""
    return path.name.lower().endswith(SUFFIXES)


def header_of(path: Path) -> list[str]:
    """Return the column names of a table; none where the file is no text."""
    _, header, _, _ = _begin(read_first_lines(path))
    return [name for name in header if name not in _ROW_NAMES]


def read_table(path: Path, *, numbers: Collection[str] = ()) -> DelimitedTable:
    """Read a delimited table.

    Args:
        path: The file.
        numbers: Columns that hold numbers: a decimal comma there becomes a point, and `NA` or
            `NaN` an empty cell.

    Raises:
        DataError: The file is missing, is no text, has no header or two columns of one name, a
            quote that does not close, or a row with too many or too few cells; names the lines.
    """
    delimiter, header, number, lines = _begin(read_lines(path))
    if not header:
        raise DataError(TITLE, [f"{path}: is empty; its first line names the columns"])
    rows = split_rows(lines, delimiter, first=number)
    problems = [f"{path}, {problem}" for problem in rows.problems]
    header, body, notes = _without_row_names(header, rows.cells[1:])
    header, body = _without_nameless(header, body)
    problems += [f"{path}: column {name!r} appears twice" for name in _twice(header)]
    problems += _width_problems(path, header, body, rows.lines[1:])
    if problems:
        raise DataError(TITLE, _capped(problems))
    frame = pd.DataFrame(body, columns=header, dtype="str")
    notes += _literal_note(rows)
    for name in numbers:
        if name in frame:
            frame[name], changed = _with_points(frame[name], delimiter)
            notes += [f"column {name}: decimal commas were read as points"] if changed else []
    noted = tuple(f"{path.name}: {note}" for note in notes)
    return DelimitedTable(frame, tuple(rows.lines[1:]), delimiter, noted)


def _begin(lines: Sequence[str]) -> tuple[str, list[str], int, list[str]]:
    """Return the delimiter, the column names, and the lines from the header on with its number."""
    at = next((place for place, line in enumerate(lines) if line.strip()), len(lines))
    said = _SAID.match(lines[at].strip(" ")) if at < len(lines) else None
    if said:
        at += 1
    if at >= len(lines):
        return ",", [], at + 1, []
    first = lines[at]
    delimiter = max(_DELIMITERS, key=first.count)
    if said:
        delimiter = said[1]
    elif _QUOTED_BY_SPACES.fullmatch(first):
        delimiter = " "
    header = split_rows([first], delimiter).cells
    names = [normalized(name) for name in header[0]] if header else []
    return delimiter, names, at + 1, list(lines[at:])


def _without_row_names(
    header: list[str], body: list[list[str]]
) -> tuple[list[str], list[list[str]], list[str]]:
    """Leave out a first column that only numbers the rows, with a name or (as in R) without."""
    first = [cells[0].strip() for cells in body if cells]
    numbers = bool(first) and all(map(str.isdigit, first)) and len(set(first)) == len(first)
    nameless = bool(body) and all(len(cells) == len(header) + 1 for cells in body)
    named = bool(header) and header[0] in _ROW_NAMES
    if not numbers or not (nameless or named):
        return header, body, []
    note = "the first column numbers the rows and was left out"
    return header[named and not nameless :], [cells[1:] for cells in body], [note]


def _without_nameless(
    header: list[str], body: list[list[str]]
) -> tuple[list[str], list[list[str]]]:
    """Leave out columns that have neither a name nor a value."""
    empty = {
        place
        for place, name in enumerate(header)
        if not name and not any(place < len(cells) and cells[place].strip() for cells in body)
    }
    if not empty:
        return header, body
    kept = [[cell for at, cell in enumerate(cells) if at not in empty] for cells in body]
    return [name for at, name in enumerate(header) if at not in empty], kept


def _width_problems(
    path: Path, header: list[str], body: list[list[str]], lines: list[int]
) -> Iterable[str]:
    for cells, line in zip(body, lines, strict=True):
        if len(cells) != len(header):
            yield (
                f"{path}, line {line}: {len(cells)} cells, but {len(header)} columns; write a "
                'cell that holds a comma in quotes: "a, b"'
            )


def _literal_note(rows: Rows) -> list[str]:
    if not rows.literal:
        return []
    first = ", ".join(map(str, rows.literal[:5])) + (", ..." if len(rows.literal) > 5 else "")
    lines = counted(len(rows.literal), "line")
    return [f'a quote (") in {lines} does not close and was read as a character: {first}']


def _with_points(column: pd.Series, delimiter: str) -> tuple[pd.Series, bool]:
    """Return a column of numbers with points for decimal commas, and whether there were any.

    Between commas `1,500` may be one and a half or fifteen hundred, so such a column stays as it
    is, for its reader to refuse.
    """
    column = column.str.strip().where(~column.str.strip().isin(_NO_NUMBER), "")
    filled = column[column != ""]
    if not filled.str.contains(",", regex=False).any():
        return column, False
    plain = filled.str.fullmatch(_WITH_COMMA.pattern).all()
    unclear = (
        delimiter == ","
        and filled[filled.str.contains(",")].str.fullmatch(_THOUSANDS.pattern).all()
    )
    if not plain or unclear:
        return column, False
    return column.str.replace(",", ".", regex=False), True


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _capped(problems: list[str]) -> list[str]:
    more = len(problems) - _MOST_SHOWN
    return problems[:_MOST_SHOWN] + ([f"and {more} more"] if more > 0 else [])
