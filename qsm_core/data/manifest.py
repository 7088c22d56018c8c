"""A clip manifest in memory, with the folder that its paths are relative to; load and save."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from qsm_core.data.schema import (
    COLUMNS,
    NUMBERS,
    SCHEMA,
    parse_rows,
    rows_to_frame,
    spelling_notes,
    with_schema_types,
)
from qsm_core.errors import DataError
from qsm_core.tables.delimited import read_table


@dataclass(frozen=True, eq=False)
class ManifestTable:
    """Clips and where their audio is.

    Args:
        frame: The columns of `qsm_core.data.schema`, index 0 ... n - 1.
        root: What relative paths are relative to.
        kind: The form it was read from.
        origin: The file or folder it was read from.
        notes: Decisions of the importer that the user should know, one sentence each.
    """

    frame: pd.DataFrame
    root: Path
    kind: str
    origin: Path
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def audio_path(self, path: str) -> Path:
        """Return the path of a row's file; an absolute path stays as it is."""
        return self.root / path

    def with_frame(self, frame: pd.DataFrame) -> ManifestTable:
        """Return a copy with other rows."""
        return replace(self, frame=frame.reset_index(drop=True))

    def save(self, path: Path) -> None:
        """Write as `.parquet` or `.csv`, with paths relative to the folder of that file.

        Raises:
            DataError: The name ends in neither.
        """
        frame = self.frame.copy()
        folder = path.parent.resolve()
        frame["path"] = [
            None if pd.isna(text) else self._relative(str(text), folder) for text in frame["path"]
        ]
        frame = with_schema_types(frame)
        if path.suffix == ".parquet":
            table = pa.Table.from_pandas(frame, schema=SCHEMA, preserve_index=False)
            pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")
        elif path.suffix == ".csv":
            frame.to_csv(path, index=False, lineterminator="\n")
        else:
            raise DataError(
                "the manifest was not written",
                [f"{path}: the name must end in .parquet or .csv, not {path.suffix!r}"],
            )

    def _relative(self, text: str, folder: Path) -> str:
        return Path(os.path.relpath(self.audio_path(text).resolve(), folder)).as_posix()


def make_table(
    records: Iterable[Mapping[str, Any]],
    root: Path,
    kind: str,
    *,
    origin: Path,
    notes: Iterable[str] = (),
) -> ManifestTable:
    """Validate raw rows and make a table of them.

    Raises:
        DataError: A row does not fit the schema, or there are no rows.
    """
    records = list(records)
    rows = parse_rows(records, str(origin))
    notes = [*notes, *spelling_notes(records, rows)]
    if not rows:
        raise DataError(f"{origin} holds no clips", [f"read as {kind}: not a single row"])
    return ManifestTable(rows_to_frame(rows), root, kind, origin, tuple(notes))


def load(path: Path, audio_root: Path | None = None) -> ManifestTable:
    """Read a canonical manifest, parquet or CSV.

    Args:
        path: The file.
        audio_root: What its paths are relative to; without it, the folder of the file.

    Raises:
        DataError: The file cannot be read, or a row does not fit the schema.
    """
    frame = read_frame(path)
    return make_table(records_of(frame), audio_root or path.parent, "manifest", origin=path)


def read_frame(path: Path) -> pd.DataFrame:
    """Read a parquet or delimited table; the cells of a delimited one stay text.

    Raises:
        DataError: The file is missing or is neither.
    """
    return read_named(path)[0]


def read_named(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read a table as `read_frame` does, with notes of what was found out about its form.

    Raises:
        DataError: The file is missing or is neither.
    """
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path), []
        table = read_table(path, numbers=NUMBERS)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DataError("cannot read the table", [f"{path}: {error}"]) from error
    return table.frame, list(table.notes)


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as mappings by column name."""
    return [
        {str(name): value for name, value in row.items()} for row in frame.to_dict(orient="records")
    ]


def is_canonical(columns: Iterable[str]) -> bool:
    """Return whether a table with these columns is a canonical manifest."""
    names = set(columns)
    return {"clip_id", "group_id", "path", "label", "source"} <= names <= set(COLUMNS)
