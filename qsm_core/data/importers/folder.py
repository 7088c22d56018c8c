"""A folder with `speech/` and `nonspeech/`.

The group of a file comes from a `metadata.csv` with `path` and `group_id` beside the two folders,
else from `group_pattern`, else from the rule of `qsm_core.data.importers.groups`. Where each class
is divided into `train/`, `dev/` and `test/`, those are the splits. Audio outside the two folders is
left out, and a note counts it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Final

from qsm_core.audio.files import AudioFiles, audio_files, left_out_note
from qsm_core.data.importers.groups import RULE, group_by_rule, groups_by_pattern
from qsm_core.data.importers.metadata_csv import find_metadata
from qsm_core.data.importers.paths import relocate
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, make_table, read_named, records_of
from qsm_core.data.schema import split_named
from qsm_core.errors import DataError
from qsm_core.labels import Label
from qsm_core.spelling import normalized

KIND: Final = "folder"
_FOLDER_NAMES = {
    "speech": Label.SPEECH,
    "nonspeech": Label.NONSPEECH,
    "non_speech": Label.NONSPEECH,
    "non-speech": Label.NONSPEECH,
}
_METADATA_COLUMNS = ("group_id", "split", "category", "licence", "source")


def recognizes(path: Path) -> bool:
    """Say whether a folder has one folder for each class."""
    return path.is_dir() and set(_class_folders(path).values()) == set(Label)


def read(path: Path, options: ImportOptions) -> ManifestTable:
    """Make the manifest of a folder with `speech/` and `nonspeech/`.

    Raises:
        DataError: A class folder is missing, or the metadata or pattern leaves files without a
            group.
    """
    folders = _class_folders(path)
    missing = [label for label in Label if label not in folders.values()]
    if missing:
        raise DataError(
            f"{path} is no folder of clips",
            [f"{path}: no folder {label.lower()}/ in it" for label in missing],
        )
    seen = audio_files(path, used=(".csv", ".tsv", ".gz"))
    labels = {folder.name: label for folder, label in folders.items()}
    taken = {name: labels[top] for name in seen.names() if (top := _top(name)) in labels}
    extra, notes = _extra_columns(path, list(taken), options)
    records = [
        {"source": options.source or path.resolve().name, **extra[name], **_row(name, label)}
        for name, label in taken.items()
    ]
    return make_table(records, path, KIND, origin=path, notes=[*notes, *_notes(seen, set(taken))])


def _notes(seen: AudioFiles, taken: set[str]) -> list[str]:
    outside = [name for name in seen.names() if name not in taken]
    notes = [left_out_note(outside, "outside speech/ and nonspeech/")] if outside else []
    return notes + seen.notes()


def _top(name: str) -> str:
    return PurePosixPath(name).parts[0]


def _row(name: str, label: Label) -> dict[str, Any]:
    clip_id = PurePosixPath(name).with_suffix("").as_posix()
    return {"clip_id": clip_id, "path": name, "label": label.value}


def _class_folders(path: Path) -> dict[Path, Label]:
    return {
        folder: _FOLDER_NAMES[folder.name.lower()]
        for folder in path.iterdir()
        if folder.is_dir() and folder.name.lower() in _FOLDER_NAMES
    }


def _extra_columns(
    path: Path, names: list[str], options: ImportOptions
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the group_id and the metadata of every file, and notes."""
    if options.group_pattern is not None:
        groups = groups_by_pattern(names, options.group_pattern)
        note = f"groups were read from the paths by group_pattern {options.group_pattern!r}"
        pairs = zip(names, groups, strict=True)
        return {name: {"group_id": group} for name, group in pairs}, [note]
    metadata = find_metadata(path)
    if metadata is not None:
        return columns_of_clips(metadata, names)
    splits = _splits_inside(names)
    if not splits:
        return {name: {"group_id": _group(name)} for name in names}, [RULE]
    rows = {name: {"group_id": _group(name, 2), "split": split} for name, split in splits.items()}
    return rows, [RULE, "the splits are the folders in speech/ and nonspeech/"]


def _splits_inside(names: list[str]) -> dict[str, str]:
    """Return the split of each file of `speech/train/...`; empty where the folders are others."""
    splits = {name: split_named(PurePosixPath(name).parts[1]) for name in names}
    if len(set(splits.values())) < 2:
        return {}
    found = {name: str(split) for name, split in splits.items() if split is not None}
    return found if len(found) == len(names) else {}


def _group(name: str, folders: int = 1) -> str:
    return group_by_rule(PurePosixPath(*PurePosixPath(name).parts[folders:]))


def columns_of_clips(file: Path, names: list[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return what a table with `path` and `group_id` says of clips in its folder, and notes.

    Args:
        file: The table.
        names: The clips, relative to the folder of the table.

    Raises:
        DataError: A column is missing, a clip is not named, or two rows of a clip differ.
    """
    frame, notes = read_named(file)
    missing = [column for column in ("path", "group_id") if column not in frame]
    if missing:
        raise DataError(f"{file} cannot be used", [f"missing column {name}" for name in missing])
    paths = relocate(frame["path"].tolist(), file.parent)
    known: dict[str, dict[str, Any]] = {}
    problems = []
    for path, row in zip(paths, records_of(frame), strict=True):
        columns = {key: row[key] for key in _METADATA_COLUMNS if key in row}
        if known.setdefault(normalized(path), columns) != columns:
            problems.append(f"{path}: two rows of {file.name} say different things of it")
    keys = {name: normalized(name) for name in names}
    problems += [
        f"{name}: is in the folder but not in {file.name}"
        for name, key in keys.items()
        if key not in known
    ]
    if problems:
        raise DataError(f"{file} does not name every clip once", problems)
    unused = sorted(set(known) - set(keys.values()))
    if unused:
        without = f"rows of {file.name} without a clip in the folder: {len(unused)}"
        notes.append(f"{without}, such as {unused[0]}")
    return {name: known[key] for name, key in keys.items()}, notes


IMPORTER = Importer(
    KIND, "a folder that holds the folders speech/ and nonspeech/", recognizes, read
)
