"""The canonical manifest itself, parquet or CSV, as `qsm_core.data import` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from qsm_core.data.importers.paths import relocate
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, is_canonical, make_table, read_frame, records_of
from qsm_core.tables.delimited import header_of

KIND: Final = "manifest"


def columns_of(path: Path) -> list[str]:
    """Return the column names of a parquet or CSV file; none where it is neither."""
    if path.suffix.lower() == ".csv" and path.is_file():
        return header_of(path)
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return []
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException):
        return []


def recognizes(path: Path) -> bool:
    """Say whether this file has the columns of a canonical manifest and no others."""
    return is_canonical(columns_of(path))


def read(path: Path, options: ImportOptions) -> ManifestTable:
    """Read a canonical manifest; its own groups and splits are kept.

    Raises:
        DataError: The file cannot be read, or a row does not fit the schema.
    """
    frame = read_frame(path)
    root = options.audio_root or path.parent
    if "path" in frame:
        texts = ["" if text is None or text != text else str(text) for text in frame["path"]]
        frame["path"] = relocate(texts, root) if options.audio_root else texts
    return make_table(records_of(frame), root, KIND, origin=path)


IMPORTER = Importer(
    KIND,
    "a .parquet or .csv file with the columns clip_id, group_id, path, label, source of the "
    "canonical manifest",
    recognizes,
    read,
)
