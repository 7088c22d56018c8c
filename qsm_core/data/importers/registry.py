"""All importers, and finding the one that fits: `import_manifest(path)`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from qsm_core.data.config import KINDS
from qsm_core.data.importers import (
    canonical,
    esc50,
    folder,
    metadata_csv,
    original,
    voxconverse,
)
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, records_of
from qsm_core.data.schema import parse_rows, rows_to_frame
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.tables.delimited import read_table

# In the order in which they are tried; the more specific forms come first.
IMPORTERS: tuple[Importer, ...] = (
    canonical.IMPORTER,
    original.PARQUET_IMPORTER,
    original.CSV_IMPORTER,
    metadata_csv.IMPORTER,
    esc50.IMPORTER,
    folder.IMPORTER,
    voxconverse.IMPORTER,
)
COLLECTION = "collection"


def import_manifest(
    path: Path, kind: str = "auto", *, options: ImportOptions | None = None
) -> ManifestTable:
    """Read clips in any known form as a canonical manifest.

    A folder whose sub-folders contain two or more data sets of known form, such as VoxConverse
    beside ESC-50, is read as all of them together.

    Args:
        path: A file or folder.
        kind: One of `KINDS`; auto looks at names and headers.
        options: Further options of the user.

    Raises:
        ConfigurationError: There is no such kind.
        DataError: The path is missing, has no known form, or its rows do not fit.
    """
    options = options or ImportOptions()
    if kind not in KINDS:
        text = f"kind = {kind!r}: allowed is {', '.join(KINDS)}"
        raise ConfigurationError("the data cannot be imported", [text])
    if not path.exists():
        raise DataError("the data cannot be imported", [f"{path}: there is no such file or folder"])
    if kind != "auto":
        importer = next(importer for importer in IMPORTERS if importer.kind == kind)
        return importer.read(path, options)
    parts = _data_sets_below(path)
    if len(parts) > 1:
        return _join(path, parts, options)
    importer_of_path = recognize(path)
    if importer_of_path is not None:
        return importer_of_path.read(path, options)
    if parts:
        return parts[0][1].read(parts[0][0], options)
    raise _nothing_fits(path)


def recognize(path: Path) -> Importer | None:
    """Return the first importer whose form a file or folder has."""
    return next((importer for importer in IMPORTERS if importer.recognizes(path)), None)


def _data_sets_below(path: Path) -> list[tuple[Path, Importer]]:
    """List the sub-folders that have a known form of their own."""
    if not path.is_dir():
        return []
    found = [(sub, recognize(sub)) for sub in sorted(path.iterdir()) if sub.is_dir()]
    return [(sub, importer) for sub, importer in found if importer is not None]


def _join(path: Path, parts: list[tuple[Path, Importer]], options: ImportOptions) -> ManifestTable:
    tables = []
    for sub, importer in parts:
        table = importer.read(sub, replace(options, audio_root=None))
        inside = [(Path(sub.name) / str(text)).as_posix() for text in table.frame["path"]]
        tables.append(replace(table, frame=table.frame.assign(path=inside)))
    frame = pd.concat([table.frame for table in tables], ignore_index=True)
    rows = parse_rows(records_of(frame), str(path))
    notes = [
        f"{sub.name} ({importer.kind}): {note}"
        for (sub, importer), table in zip(parts, tables, strict=True)
        for note in table.notes
    ]
    return ManifestTable(rows_to_frame(rows), path, COLLECTION, path, tuple(notes))


def _nothing_fits(path: Path) -> DataError:
    inside = ""
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir())
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        inside = f"; it holds {', '.join(names[:8]) or 'nothing'}{more}"
    looked = [f"looked for {importer.kind}: {importer.looks_for}" for importer in IMPORTERS]
    problems = [*_table_problems(path), *looked]
    return DataError(f"{path} has no known form of data{inside}", problems)


def _table_problems(path: Path) -> list[str]:
    """Return why a CSV that seems intended as a table of clips is not one."""
    file = path / metadata_csv.FILE_NAME if path.is_dir() else path
    if file.suffix.lower() != ".csv" or not file.is_file():
        return []
    try:
        columns = list(read_table(file).frame.columns)
    except DataError as error:
        return list(error.problems)
    missing = " and no column ".join(name for name in ("path", "label") if name not in columns)
    return [f"{file}: has no column {missing}; its columns are {', '.join(columns)}"]
