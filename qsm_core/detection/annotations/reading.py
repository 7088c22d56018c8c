"""Read any table of events; its form is found by looking at its first line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qsm_core.detection.annotations.columns import find_columns
from qsm_core.detection.annotations.forms import TableForm
from qsm_core.detection.annotations.headed_tables import header_of, read_headed
from qsm_core.detection.annotations.headless_tables import (
    is_audacity,
    is_bare,
    is_rttm,
    read_audacity,
    read_bare,
    read_rttm,
)
from qsm_core.detection.annotations.marks import Marks
from qsm_core.errors import DataError
from qsm_core.tables.decoding import read_lines

TABLE_SUFFIXES = (".txt", ".csv", ".tsv", ".rttm")


def find_form(lines: Sequence[str]) -> TableForm | None:
    """Return the form of a table by its first line; None where it is no table of events."""
    if not lines or not lines[0].strip():
        return None
    if is_rttm(lines):
        return "rttm"
    if is_audacity(lines):
        return "audacity"
    if is_bare(lines):
        return "csv"
    header = header_of(lines)
    if not find_columns(header).are_events:
        return None
    return read_headed(Path(), lines[:1]).kind  # type: ignore[return-value]


def read_table(path: Path, form: TableForm = "auto", *, label_column: str | None = None) -> Marks:
    """Read a table of events.

    Args:
        path: The table.
        form: Its form; auto: found by looking.
        label_column: The column with the labels, where its name is not a usual one.

    Raises:
        DataError: The file cannot be read, or is no table of events of that form. Faults of single
            rows are listed in `Marks.problems`.
    """
    lines = read_lines(path)
    found = find_form(lines)
    # A file without a byte is what Audacity writes for no label.
    if found is None and not any(line.strip() for line in lines) and form in ("auto", "audacity"):
        return Marks(path, "audacity", ())
    if found is None or form not in ("auto", found):
        raise DataError("cannot read the table of events", [_explain(path, lines, form, found)])
    if found == "rttm":
        return read_rttm(path, lines)
    if found == "audacity":
        return read_audacity(path, lines)
    if is_bare(lines):
        return read_bare(path, lines)
    return read_headed(path, lines, label_column)


def _explain(path: Path, lines: Sequence[str], form: str, found: str | None) -> str:
    shown = (lines[0] if lines else "")[:100]
    if found is not None:
        return f"{path}: looks like {found}, not {form} (first line: {shown!r}); say form auto"
    return (
        f"{path}: is no table of events that can be read; it needs a column for begin and one for "
        f"end (such as begin_s and end_s, onset_ms and offset_ms, or Raven's), "
        f"Audacity's labels or RTTM; its first line is {shown!r}"
    )
