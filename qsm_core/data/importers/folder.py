"""A folder with `speech/` and `nonspeech/`.

The group of a file comes from a `metadata.csv` with `path` and `group_id` beside the two folders,
else from `group_pattern`, else from the rule of `qsm_core.data.importers.groups`.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Final

from qsm_core.data.importers.groups import RULE, group_by_rule, groups_by_pattern
from qsm_core.data.importers.paths import audio_files, with_forward_slashes
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, make_table, read_frame, records_of
from qsm_core.errors import DataError
from qsm_core.labels import Label

KIND: Final = "folder"
METADATA_FILE = "metadata.csv"
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
    files = {
        file.relative_to(path).as_posix(): label
        for folder, label in sorted(folders.items())
        for file in audio_files(folder)
    }
    extra, notes = _extra_columns(path, list(files), options)
    records = [
        {"source": options.source or path.resolve().name, **extra[name], **_row(name, label)}
        for name, label in files.items()
    ]
    return make_table(records, path, KIND, origin=path, notes=notes)


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
    if (path / METADATA_FILE).is_file():
        return _from_metadata(path / METADATA_FILE, names), []
    return {name: {"group_id": _group(name)} for name in names}, [RULE]


def _group(name: str) -> str:
    return group_by_rule(PurePosixPath(*PurePosixPath(name).parts[1:]))


def _from_metadata(file: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    frame = read_frame(file)
    missing = [column for column in ("path", "group_id") if column not in frame]
    if missing:
        raise DataError(f"{file} cannot be used", [f"missing column {name}" for name in missing])
    known = {
        with_forward_slashes(row["path"]): {
            key: row[key] for key in _METADATA_COLUMNS if key in row
        }
        for row in records_of(frame)
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError(
            f"{file} does not name every clip",
            [f"{name}: is in the folder but not in {METADATA_FILE}" for name in unknown],
        )
    return known


IMPORTER = Importer(
    KIND, "a folder that holds the folders speech/ and nonspeech/", recognizes, read
)
