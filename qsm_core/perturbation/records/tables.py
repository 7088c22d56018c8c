"""Rows on disk: appended one by one while a stage works, and as tables when it has ended.

What differs between two equal runs (times, batch sizes) stands in the volatile part of an output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from qsm_core.errors import DataError
from qsm_core.perturbation.records.rows import CellRow, TextRow, from_values, to_line
from qsm_core.stage.journal import append_line, read_lines
from qsm_core.store.layout import VOLATILE_FOLDER

TEXTS, CELLS = "texts.parquet", "cells.parquet"
_JOURNALS = {TextRow: "texts.jsonl", CellRow: "cells.jsonl"}
_FILES: Mapping[type, str] = {TextRow: TEXTS, CellRow: CELLS}
_VOLATILE = {
    TextRow: ("seconds", "batch_size", "memory_percent", "timestamp", "device"),
    CellRow: ("seconds",),
}
_TYPES = {
    "str": pa.string(),
    "str | None": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "float | None": pa.float64(),
    "bool": pa.bool_(),
}

TextKey = tuple[str, str]


@dataclass
class Rows:
    """Rows of texts by cell and prompt, and of cells by key."""

    texts: dict[TextKey, TextRow] = field(default_factory=dict)
    cells: dict[str, CellRow] = field(default_factory=dict)

    def add(self, row: TextRow | CellRow) -> None:
        """Take a row; one that is there already stays."""
        if isinstance(row, TextRow):
            self.texts.setdefault((row.cell, row.prompt_id), row)
        else:
            self.cells.setdefault(row.cell, row)


def append_rows(folder: Path, rows: Sequence[TextRow] | Sequence[CellRow]) -> None:
    """Append rows of one kind to their journal; they are on disk when this returns."""
    lines = "".join(f"{to_line(row)}\n" for row in rows)
    append_line(folder / _JOURNALS[type(rows[0])], lines.encode())


def read_journals(folder: Path) -> Rows:
    """Return the rows in the journals of a folder; a torn last line is cut off.

    Raises:
        DataError: An earlier line is damaged.
    """
    rows = Rows()
    for kind, name in _JOURNALS.items():
        for values in read_lines(folder / name, f"the record of {name.split('.')[0]}"):
            rows.add(from_values(kind, values))
    return rows


def write_rows(folder: Path, rows: Rows) -> None:
    """Write both tables of an output, and what differs between equal runs apart."""
    for kind, made in ((TextRow, rows.texts.values()), (CellRow, rows.cells.values())):
        values = [_encodable(asdict(one)) for one in made]
        apart = _VOLATILE[kind]
        names = [one.name for one in fields(kind)]
        _write(folder / _FILES[kind], kind, values, [one for one in names if one not in apart])
        (folder / VOLATILE_FOLDER).mkdir(exist_ok=True)
        _write(folder / VOLATILE_FOLDER / _FILES[kind], kind, values, list(apart))


def read_rows(folder: Path) -> Rows:
    """Read what `write_rows` wrote.

    Raises:
        DataError: The tables are not there, or others.
    """
    rows = Rows()
    for kind, name in _FILES.items():
        try:
            tables = [pq.read_table(one / name) for one in (folder, folder / VOLATILE_FOLDER)]
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError("cannot read the rows", [f"{folder / name}: {error}"]) from error
        for row in _joined(tables):
            try:
                rows.add(from_values(kind, row))
            except ValueError as error:
                raise DataError("cannot read the rows", [f"{folder / name}: {error}"]) from error
    return rows


def merge(found: Iterable[Rows]) -> Rows:
    """Return all rows; the first of several stays."""
    rows = Rows()
    for one in found:
        for cell in one.cells.values():
            rows.add(cell)
        for text in one.texts.values():
            rows.add(text)
    return rows


def _joined(tables: list[pa.Table]) -> Iterator[dict[str, Any]]:
    for parts in zip(*(one.to_pylist() for one in tables), strict=True):
        yield {name: value for part in parts for name, value in part.items()}


def _write(path: Path, kind: type, values: list[dict[str, Any]], names: list[str]) -> None:
    types = {one.name: _TYPES[str(one.type)] for one in fields(kind)}
    schema = pa.schema([pa.field(name, types[name]) for name in names])
    rows = [{name: row[name] for name in names} for row in values]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _encodable(row: dict[str, Any]) -> dict[str, Any]:
    # Parquet holds UTF-8, which has no lone surrogates; a model's text may have them.
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
