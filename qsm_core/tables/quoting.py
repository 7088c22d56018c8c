"""Rows of cells out of lines of text, with quotes that mean something and quotes that do not.

A line is read alone first. Where a quote opens and the line ends before it closes, there are two
possibilities: a cell that goes on over several lines, or a quote that is a plain character (a
sentence that begins with one). The first would take the following lines into the cell, and rows
would vanish; so where those lines look like rows of their own, it is the second: between tabs the
line is read as it stands, elsewhere it is refused with its number.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

_LONGEST_CELL_LINES = 1000
_LETTERS = re.compile(r"[^\W\d_]+")
_DIGITS = re.compile(r"\d+")


@dataclass
class Rows:
    """The rows of a table.

    Attributes:
        cells: Of each row that holds any.
        lines: The line on which each begins, counted from 1.
        literal: Lines whose quotes were read as plain characters.
        problems: Lines that cannot be read, one sentence each.
    """

    cells: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    literal: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, cells: list[str], line: int) -> None:
        """Add a row, unless it is empty: spreadsheets leave such rows at the end."""
        if any(cell.strip() for cell in cells):
            self.cells.append(cells)
            self.lines.append(line)


def split_rows(lines: Sequence[str], delimiter: str, *, first: int = 1) -> Rows:
    """Divide lines into rows of cells.

    Args:
        lines: The header and what follows it.
        delimiter: What stands between cells.
        first: Number of the first line in its file.
    """
    rows = Rows()
    alone = [_cells([line], delimiter) for line in lines]
    width = len(alone[0] or lines[0].split(delimiter)) if lines else 0
    shapes = (
        Counter(_shape(line.split(delimiter)[0]) for line in lines[1:])
        if None in alone
        else Counter()
    )
    at = 0
    while at < len(lines):
        cells = alone[at]
        stop = at + 1
        if cells is None:
            stop, cells = _cell_over_lines(lines, at, delimiter, width, shapes)
        if cells is None:
            cells = _as_it_stands(lines[at], delimiter, width)
            if cells is not None and (delimiter == "\t" or not _is_open(lines[at], delimiter)):
                rows.literal.append(first + at)
            else:
                rows.problems.append(f"line {first + at}: {_open_quote(lines[at])}")
                cells = []
        rows.add(cells, first + at)
        at = stop
    return rows


def _cells(lines: Sequence[str], delimiter: str) -> list[str] | None:
    """Read one row strictly; None where its quotes do not fit."""
    if '"' not in lines[0]:
        return [cell.lstrip(" ") for cell in lines[0].rstrip("\n").split(delimiter)]
    trimmed = delimiter != " "
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=trimmed, strict=True)
    try:
        return next(reader, [])
    except csv.Error:
        return None


def _cell_over_lines(
    lines: Sequence[str], at: int, delimiter: str, width: int, shapes: Counter[str]
) -> tuple[int, list[str] | None]:
    """Read a row whose cell goes on over several lines; (at + 1, None) where it is none."""
    none = (at + 1, None)
    quotes = lines[at].count('"')
    for stop in range(at + 2, min(len(lines), at + _LONGEST_CELL_LINES) + 1):
        quotes += lines[stop - 1].count('"')
        if quotes % 2:
            continue
        cells = _cells([f"{line}\n" for line in lines[at:stop]], delimiter)
        if cells is None:
            return none
        swallowed = [line.split(delimiter) for line in lines[at + 1 : stop] if line.strip()]
        others = shapes - Counter(_shape(cells[0]) for cells in swallowed)
        if width > 1 and all(len(row) > 1 and _shape(row[0]) in others for row in swallowed):
            return none
        return stop, cells
    return none


def _shape(cell: str) -> str:
    """Return what is alike in `speech/anna_1.wav` and `noise/bell_23.wav`: `a/a_9.a`."""
    return _DIGITS.sub("9", _LETTERS.sub("a", cell.strip(' "')))


def _as_it_stands(line: str, delimiter: str, width: int) -> list[str] | None:
    """Read a line whose quotes are characters; None where it has too many or too few cells."""
    cells = [_without_quotes(cell.strip(" ")) for cell in line.split(delimiter)]
    return cells if len(cells) == width else None


def _without_quotes(cell: str) -> str:
    inner = cell[1:-1].replace('""', "")
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner
    return cell[1:-1].replace('""', '"') if quoted else cell


def _is_open(line: str, delimiter: str) -> bool:
    """Say whether a quote of a line is still open where it ends."""
    return _cells([f'{line}"'], delimiter) is not None


def _open_quote(line: str) -> str:
    return (
        'a quote (") opens here and does not close before the next row begins '
        f"({line[line.find(chr(34)) :][:30]!r}); close it, take it out, or write a quote inside a "
        'quoted cell twice ("")'
    )
