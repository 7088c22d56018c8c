"""Tables without a header: Audacity's labels, RTTM, and plain (file,) begin, end, label.

Audacity writes begin, end and label with tabs; where a label has frequencies, the line behind it
is a backslash, the lowest and the highest frequency; BirdNET puts its confidence behind the label.
RTTM writes

    SPEAKER <file> 1 <begin> <length> <NA> <NA> <label> <score> <NA>
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qsm_core.audio.reading import SUFFIXES
from qsm_core.detection.annotations.clock import from_length
from qsm_core.detection.annotations.headed_tables import delimiter_of
from qsm_core.detection.annotations.marks import Mark, Marks, number_of, shown
from qsm_core.tables.quoting import split_rows

_RTTM_CELLS = 9
_NOTHING = "<NA>"


def is_audacity(lines: Sequence[str]) -> bool:
    """Return whether the first line is a label of Audacity."""
    cells = lines[0].split("\t") if lines else []
    numbers = all(_is_number(cell) for cell in cells[:2])
    return numbers and (len(cells) in (2, 3) or _has_score(cells))


def is_rttm(lines: Sequence[str]) -> bool:
    """Return whether the first line is one of RTTM."""
    cells = _words(lines[0]) if lines else []
    return len(cells) >= _RTTM_CELLS and cells[0] in ("SPEAKER", "NON-SPEECH", "LEXEME", "NOSCORE")


def is_bare(lines: Sequence[str]) -> bool:
    """Return whether the first line is begin and end, and perhaps a label, without a header.

    An audio file may stand before them, as in sed_eval's lists of events.
    """
    rows = split_rows(lines[:1], delimiter_of(lines[0])).cells if lines else []
    times = rows[0][_is_audio(rows[0][0]) :][:2] if rows else []
    return len(times) == 2 and all(_is_number(cell) for cell in times)


def read_audacity(path: Path, lines: Sequence[str]) -> Marks:
    """Read the labels of Audacity."""
    marks: list[Mark] = []
    problems: list[str] = []
    for line, text in enumerate(lines, 1):
        cells = text.split("\t")
        try:
            if cells[0].strip() == "\\" and marks:
                low, high = number_of(cells[1]), number_of(cells[2])
                # Audacity writes -1 for an edge that was not drawn.
                marks[-1] = replace(
                    marks[-1], low_hz=None if low < 0 else low, high_hz=None if high < 0 else high
                )
            elif text.strip():
                score = number_of(cells.pop()) if _has_score(cells) else None
                label = "\t".join(cells[2:]).strip() or None
                begin, end = number_of(cells[0]), number_of(cells[1])
                marks.append(Mark(line, begin, end, label, score=score))
        except (ValueError, IndexError):
            problems.append(
                f"{path}, line {line}: {shown(text)} is neither begin, end and label, nor a "
                "backslash and two frequencies"
            )
    return Marks(path, "audacity", tuple(marks), tuple(problems))


def read_rttm(path: Path, lines: Sequence[str]) -> Marks:
    """Read RTTM; lines of other types than SPEAKER are left out."""
    marks: list[Mark] = []
    problems: list[str] = []
    for line, text in enumerate(lines, 1):
        cells = _words(text)
        if not cells or cells[0] != "SPEAKER":
            continue
        try:
            span = from_length(number_of(cells[3]), number_of(cells[4]))
            label = None if cells[7] == _NOTHING else cells[7].replace("\u00a0", " ")
            score = None if cells[8] == _NOTHING else number_of(cells[8])
            file = cells[1].replace("\u00a0", " ")
        except (ValueError, IndexError):
            problems.append(f"{path}, line {line}: {shown(text)} is no line of RTTM")
            continue
        marks.append(Mark(line, *span, label, file, score=score))
    return Marks(path, "rttm", tuple(marks), tuple(problems))


def read_bare(path: Path, lines: Sequence[str]) -> Marks:
    """Read begin, end and perhaps a label in seconds, without a header."""
    marks: list[Mark] = []
    rows = split_rows(lines, delimiter_of(lines[0]))
    problems = [f"{path}, {problem}" for problem in rows.problems]
    for line, cells in zip(rows.lines, rows.cells, strict=True):
        try:
            named = _is_audio(cells[0])
            begin, end, label = [*cells[named:], ""][:3]
            file = cells[0].strip() if named else None
            marks.append(Mark(line, number_of(begin), number_of(end), label.strip() or None, file))
        except (ValueError, IndexError):
            problems.append(
                f"{path}, line {line}: {shown(', '.join(cells))} is not begin, end and label"
            )
    return Marks(path, "csv", tuple(marks), tuple(problems))


def _has_score(cells: Sequence[str]) -> bool:
    """Return whether a number stands behind the label of a line of Audacity's."""
    return len(cells) == 4 and not _is_number(cells[2]) and _is_number(cells[3])


def _words(text: str) -> list[str]:
    """Return what stands between blanks and tabs; no-break spaces are part of a word."""
    return [word for word in re.split("[ \t]+", text) if word]


def _is_audio(cell: str) -> bool:
    return cell.strip().lower().endswith(SUFFIXES)


def _is_number(text: str) -> bool:
    try:
        number_of(text)
    except ValueError:
        return False
    return True
