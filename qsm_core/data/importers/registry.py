"""All importers, and the one rule of what a file or folder is: `import_manifest(path)`.

A folder is, in this order:

1. what it says itself: a table in it, ESC-50, or `speech/` and `nonspeech/`; data sets in folders
   below are left out, unless the table names their clips;
2. the data sets in its folders, all together; folders called train, dev or test are the splits of
   their clips, and a `metadata.csv` with `path` and `group_id` beside them gives the groups;
3. VoxConverse, whose recordings and annotations lie in folders of any name.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pandas as pd

from qsm_core.audio.files import audio_files, is_taken, left_out_note
from qsm_core.data.config import KINDS
from qsm_core.data.importers import (
    canonical,
    esc50,
    folder,
    metadata_csv,
    original,
    voxconverse,
)
from qsm_core.data.importers.folder import columns_of_clips
from qsm_core.data.importers.metadata_csv import find_metadata
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, make_table, records_of
from qsm_core.data.schema import split_named
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.tables.delimited import header_of, is_delimited, read_table

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
_LOOSE_FORMS = (voxconverse.IMPORTER,)
_OWN_FORMS = tuple(importer for importer in IMPORTERS if importer not in _LOOSE_FORMS)
_USED_SUFFIXES = (".csv", ".tsv", ".gz", ".parquet", ".rttm")


def import_manifest(
    path: Path, kind: str = "auto", *, options: ImportOptions | None = None
) -> ManifestTable:
    """Read clips in any known form as a canonical manifest.

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
    own = _recognize(path, _OWN_FORMS)
    if own is not None:
        return own.read(path, options)
    parts = _data_sets_below(path)
    whole = _recognize(path, _LOOSE_FORMS) if len(parts) < 2 else None
    if whole is not None and not _is_split_folder(parts):
        return whole.read(path, options)
    if parts:
        return _join(path, parts, options)
    raise _nothing_fits(path)


def recognize(path: Path) -> Importer | None:
    """Return the first importer whose form a file or folder has."""
    return _recognize(path, IMPORTERS)


def _recognize(path: Path, importers: tuple[Importer, ...]) -> Importer | None:
    return next((importer for importer in importers if importer.recognizes(path)), None)


def _data_sets_below(path: Path) -> list[tuple[Path, Importer]]:
    """List the sub-folders that have a known form of their own."""
    if not path.is_dir():
        return []
    folders = [sub for sub in sorted(path.iterdir()) if sub.is_dir() and is_taken(sub)]
    found = [(sub, recognize(sub)) for sub in folders]
    return [(sub, importer) for sub, importer in found if importer is not None]


def _is_split_folder(parts: list[tuple[Path, Importer]]) -> bool:
    return any(split_named(sub.name) for sub, _ in parts)


def _join(path: Path, parts: list[tuple[Path, Importer]], options: ImportOptions) -> ManifestTable:
    """Read the data sets of several folders as one."""
    tables = [importer.read(sub, options) for sub, importer in parts]
    frames = [_inside(path, sub, table) for (sub, _), table in zip(parts, tables, strict=True)]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.assign(clip_id=_unique_names(frame))
    records = records_of(frame)
    notes = _notes_of_parts(parts, tables)
    splits = [f"{sub.name} is {split}" for sub, _ in parts if (split := split_named(sub.name))]
    if splits:
        notes.append(f"the folders are the splits: {', '.join(splits)}")
    metadata = find_metadata(path)
    if metadata is not None and {"path", "group_id"} <= set(header_of(metadata)):
        columns, more = columns_of_clips(metadata, [str(text) for text in frame["path"]])
        records = [{**record, **columns[str(record["path"])]} for record in records]
        notes += more
    elif metadata is not None:
        notes.append(f"{metadata.name} was not read: it needs the columns path and group_id")
    seen = audio_files(path, used=_USED_SUFFIXES)
    tops = {sub.name for sub, _ in parts}
    outside = [name for name in seen.names() if PurePosixPath(name).parts[0] not in tops]
    if outside:
        notes.append(left_out_note(outside, f"outside {', '.join(sorted(tops))}"))
    kind = parts[0][1].kind if len(parts) == 1 else COLLECTION
    return make_table(records, path, kind, origin=path, notes=notes)


def _notes_of_parts(parts: list[tuple[Path, Importer]], tables: list[ManifestTable]) -> list[str]:
    """Return the notes of all parts; one that holds for each of them comes once."""
    common = [note for note in tables[0].notes if all(note in table.notes for table in tables)]
    return common + [
        f"{sub.name} ({importer.kind}): {note}"
        for (sub, importer), table in zip(parts, tables, strict=True)
        for note in table.notes
        if note not in common
    ]


def _inside(path: Path, sub: Path, table: ManifestTable) -> pd.DataFrame:
    """Return the clips of a sub-folder, with their paths from the whole folder."""
    paths = [
        None if pd.isna(text) else _from(path, table, str(text)) for text in table.frame["path"]
    ]
    frame = table.frame.assign(path=pd.Series(paths, index=table.frame.index, dtype="str"))
    split = split_named(sub.name)
    if split is None:
        return frame
    contradicting = frame["split"].notna() & (frame["split"] != split)
    if contradicting.any():
        clip = frame.loc[contradicting, "clip_id"].iloc[0]
        problem = f"{sub.name}: its own table puts {contradicting.sum()} clips elsewhere, as {clip}"
        raise DataError(f"{path} divides its clips twice", [f"{problem}; correct one of the two"])
    return frame.assign(split=split)


def _from(path: Path, table: ManifestTable, text: str) -> str:
    file = table.audio_path(text)
    inside = file.relative_to(path) if file.is_relative_to(path) else file.absolute()
    return inside.as_posix()


def _unique_names(frame: pd.DataFrame) -> pd.Series[str]:
    """Put the folder before the names of clips where two folders use one name."""
    if not frame.duplicated(["clip_id", "condition"]).any():
        return frame["clip_id"]
    tops = frame["path"].map(lambda text: PurePosixPath(str(text)).parts[0])
    return tops + "/" + frame["clip_id"]


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
    file = find_metadata(path) if path.is_dir() else path
    if file is None or not is_delimited(file) or not file.is_file():
        return []
    try:
        columns = list(read_table(file).frame.columns)
    except DataError as error:
        return list(error.problems)
    missing = " and no column ".join(name for name in ("path", "label") if name not in columns)
    return [f"{file}: has no column {missing}; its columns are {', '.join(columns)}"]
