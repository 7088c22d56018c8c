"""A `metadata.csv` with path, label, group_id and, if clips are already divided, split.

Also read, if present: clip_id, source, category, licence, start_ms, stop_ms, sha256.
Other columns are ignored, and a note names them.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Final

from qsm_core.audio.files import audio_files, left_out_note
from qsm_core.data.importers.groups import groups_by_pattern
from qsm_core.data.importers.paths import relocate
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, is_canonical, make_table, read_named, records_of
from qsm_core.errors import DataError
from qsm_core.tables.delimited import header_of, is_delimited

KIND: Final = "metadata_csv"
FILE_NAMES = ("metadata.csv", "metadata.tsv", "metadata.csv.gz")
_OPTIONAL = ("clip_id", "split", "source", "category", "licence", "start_ms", "stop_ms", "sha256")

_HINTS = {"group_id": " (speaker or source recording): add it, or give group_pattern"}


def recognizes(path: Path) -> bool:
    """Return whether this is such a CSV file, or a folder with a `metadata.csv`."""
    file = find_metadata(path) if path.is_dir() else path
    if file is None or not is_delimited(file) or not file.is_file():
        return False
    columns = header_of(file)
    return {"path", "label"} <= set(columns) and not is_canonical(columns)


def read(path: Path, options: ImportOptions) -> ManifestTable:
    """Make the manifest of a CSV with path, label and group_id.

    Raises:
        DataError: A column is missing or a row does not fit.
    """
    file = (find_metadata(path) if path.is_dir() else path) or path / FILE_NAMES[0]
    frame, notes = read_named(file)
    needed = ["path", "label"] + (["group_id"] if options.group_pattern is None else [])
    problems = [
        f"missing column {name}{_HINTS.get(name, '')}; there are {', '.join(frame.columns)}"
        for name in needed
        if name not in frame
    ]
    if problems:
        raise DataError(f"{file} cannot be used", problems)
    taken = [name for name in (*needed, *_OPTIONAL) if name in frame]
    ignored = [str(name) for name in frame.columns if name not in taken]
    root = options.audio_root or file.parent
    frame = frame[taken].assign(path=relocate(frame["path"].tolist(), root))
    if options.group_pattern is not None:
        frame["group_id"] = groups_by_pattern(frame["path"].tolist(), options.group_pattern)
    source = options.source or file.resolve().parent.name
    if ignored:
        notes.append(f"columns of {file.name} that were not read: {', '.join(ignored)}")
    if path.is_dir() and options.audio_root is None:
        notes += _left_out(path, set(frame["path"]))
    records = [_row(row, source) for row in records_of(frame)]
    return make_table(records, root, KIND, origin=file, notes=notes)


def find_metadata(folder: Path) -> Path | None:
    """Return the table of clips in a folder; None where there is none."""
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def _left_out(folder: Path, named: set[str]) -> list[str]:
    """Say which audio files of a folder its table does not name."""
    seen = audio_files(folder, used=(".csv", ".tsv", ".gz"))
    unnamed = [name for name in seen.names() if name not in named]
    notes = [left_out_note(unnamed, "not named in the table")] if unnamed else []
    return notes + seen.notes()


def _row(row: dict[str, Any], source: str) -> dict[str, Any]:
    """Fill in the name of the clip and its source where the table does not say them."""
    name = PurePosixPath(row["path"]).with_suffix("").as_posix() if row["path"] else ""
    filled = {key: value for key, value in row.items() if value != ""}
    return {"clip_id": name, "source": source, **filled}


IMPORTER = Importer(
    KIND,
    "a CSV file with the columns path, label, group_id (and split), or a folder with such a "
    "metadata.csv",
    recognizes,
    read,
)
