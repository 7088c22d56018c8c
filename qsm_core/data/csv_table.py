"""CSV files as people write them: with commas, semicolons or tabs, with a BOM, gzipped.

Spreadsheets in many European countries write semicolons, so the delimiter is detected from the
header. Cells stay text. A row with another number of cells than the header is an error: guessing
which cell is missing would assign labels to the wrong clips.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pandas as pd

from qsm_core.errors import DataError

_DELIMITERS = (",", ";", "\t")
_MOST_SHOWN = 10


def csv_header(path: Path) -> list[str]:
    """Return the column names of a CSV file; none where it is not text."""
    try:
        rows, _ = _rows(path, only_header=True)
    except (OSError, EOFError, ValueError, csv.Error):
        return []
    return rows[0] if rows else []


def read_csv_table(path: Path) -> pd.DataFrame:
    """Read a CSV file; every cell is text, an empty cell the empty string.

    Raises:
        DataError: The file is missing, is not UTF-8, has no header or two columns of one name, or
            rows have too many or too few cells; the error names their lines.
    """
    try:
        rows, lines = _rows(path)
    except UnicodeDecodeError as error:
        text = f"{path}: is not UTF-8 (byte {error.object[error.start]:#04x} at {error.start})"
        problem = f"{text}; save it as CSV UTF-8"
        raise DataError("cannot read the table", [problem]) from error
    except (OSError, EOFError, csv.Error) as error:
        raise DataError("cannot read the table", [f"{path}: {error}"]) from error
    if not rows:
        raise DataError(
            "cannot read the table", [f"{path}: is empty; its first line names the columns"]
        )
    header, *body = rows
    problems = [f"{path}: column {name!r} appears twice" for name in _twice(header)]
    problems += [
        f"{path}, line {line}: {len(row)} cells, but {len(header)} columns; write a cell that "
        'holds a comma in quotes: "a, b"'
        for row, line in zip(body, lines[1:], strict=True)
        if len(row) != len(header)
    ]
    if problems:
        more = len(problems) - _MOST_SHOWN
        shown = problems[:_MOST_SHOWN] + ([f"and {more} more"] if more > 0 else [])
        raise DataError("cannot read the table", shown)
    return pd.DataFrame(body, columns=header, dtype="str")


def _rows(path: Path, *, only_header: bool = False) -> tuple[list[list[str]], list[int]]:
    """Return the rows that are not empty, and the line on which each ends."""
    rows, lines = [], []
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
        first = stream.readline()
        stream.seek(0)
        # A space after a comma is not part of the cell.
        reader = csv.reader(
            stream, delimiter=max(_DELIMITERS, key=first.count), skipinitialspace=True
        )
        for row in reader:
            if not any(row):  # spreadsheets leave such rows at the end
                continue
            rows.append(row)
            lines.append(reader.line_num)
            if only_header:
                break
    if rows:
        rows[0] = [name.strip() for name in rows[0]]
    return rows, lines


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
