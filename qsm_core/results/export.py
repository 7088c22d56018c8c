"""Copy the results of a run into a folder that needs no store: real files in place of links.

The folder keeps `export.json`, by which an interrupted export is known again and goes on, and, when
all is there, `SHA256SUMS`, which `sha256sum -c` reads on any machine. Each file appears under its
name only when it is whole. Its content is compared with what the stage recorded that made it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qsm_core.errors import ConfigurationError, StoreError
from qsm_core.plurals import counted
from qsm_core.results.run_folder import ResultFile, list_results
from qsm_core.store.digests import FileRecord, record_file
from qsm_core.store.files import write_json
from qsm_core.store.full_disk import is_full_disk

STATE = "export.json"
SUMS = "SHA256SUMS"
_PARTIAL = ".qsm-partial"
_BLOCK_BYTES = 2**22
_SPARE_BYTES = 2**24  # for the folders, and for what others write meanwhile
_TRACKS_FOLDER = "tracks"

Progress = Callable[[int, str], None]


@dataclass(frozen=True)
class Export:
    """What an export copies.

    Args:
        source: The folder of the run's results.
        target: Where they go.
        tracks: Whether score tracks are among them.
        files: By name, what belongs into `target`.
        left_out: Score tracks that stay behind, by name.
        links: Links of the user, which stay behind.
        gone: Files of an earlier export that the run has no longer.
    """

    source: Path
    target: Path
    tracks: bool
    files: Mapping[str, ResultFile]
    left_out: Mapping[str, ResultFile] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return size_of(self.files)


@dataclass(frozen=True)
class Copied:
    """How an export went: files and bytes that were copied, and files that were there."""

    files: int
    bytes: int
    kept: int


def size_of(files: Mapping[str, ResultFile]) -> int:
    """Return the total size of files in bytes."""
    return sum(file.path.stat().st_size for file in files.values())


def is_score_track(name: str) -> bool:
    """Return whether a file of results is the score track of a recording."""
    return name.endswith(".parquet") and Path(name).parent.name == _TRACKS_FOLDER


def plan_export(source: Path, target: Path, *, tracks: bool = False) -> Export:
    """Find what has to be copied, and check that it can be.

    Args:
        source: The folder of the run's results.
        target: Where they go; new, empty, or with an earlier export of the same run.
        tracks: Whether score tracks go too. They stay where an earlier export brought them.

    Raises:
        ConfigurationError: `target` holds something else, lies within the results or around them,
            or links of the run point nowhere.
    """
    target = target.expanduser().absolute()
    earlier = _earlier_export(source, target)
    listing = list_results(source)
    tracks = tracks or bool(earlier.get("tracks"))
    left = {} if tracks else {n: f for n, f in listing.files.items() if is_score_track(n)}
    files = {name: file for name, file in listing.files.items() if name not in left}
    taken = sorted({STATE, SUMS} & set(files))
    if taken:
        problem = f"{source / taken[0]}: an export writes a file of this name itself; rename it"
        raise ConfigurationError("the results cannot be exported", [problem])
    gone = tuple(sorted(set(earlier.get("files", {})) - set(files)))
    return Export(source, target, tracks, files, left, listing.links, gone)


def run_export(export: Export, progress: Progress | None = None) -> Copied:
    """Copy what is not there yet, and write the sums.

    Args:
        export: From `plan_export`.
        progress: Called with the bytes that were just copied or found, and the file's name.

    Raises:
        ConfigurationError: There is too little room.
        StoreError: A file is not what its stage recorded, or cannot be read or written. What is
            copied stays; the same export goes on from it.
    """
    target = export.target
    report = progress or _report_nothing
    try:
        target.mkdir(parents=True, exist_ok=True)
        for rest in target.rglob(f"*{_PARTIAL}"):
            rest.unlink()
        _check_room(export)
        _write_state(export, complete=False)
        for name in export.gone:
            (target / name).unlink(missing_ok=True)
        sums: dict[str, FileRecord] = {}
        copied = copied_bytes = 0
        for name, file in export.files.items():
            sums[name], made = _bring(file, target / name, report)
            copied += made
            copied_bytes += sums[name].size * made
        lines = [f"{record.sha256}  {name}\n" for name, record in sums.items()]
        (target / SUMS).write_text("".join(lines), encoding="utf-8")
        _write_state(export, complete=True)
    except OSError as error:
        reason = "the disk is full" if is_full_disk(error) else str(error.strerror or error)
        raise StoreError(
            f"{error.filename or target}: {reason}; what is copied stays, and the same command "
            "goes on from it"
        ) from error
    return Copied(copied, copied_bytes, len(export.files) - copied)


def _earlier_export(source: Path, target: Path) -> dict[str, Any]:
    """Return what an earlier export left in the target; nothing where it is new or empty."""
    inner, outer = target.resolve(), source.resolve()
    if inner == outer or inner.is_relative_to(outer) or outer.is_relative_to(inner):
        problem = f"{target}: lies within the results or around them; choose another folder"
        raise ConfigurationError("the results cannot be exported", [problem])
    if target.exists() and not target.is_dir():
        problem = f"{target}: is a file; choose a folder"
        raise ConfigurationError("the results cannot be exported", [problem])
    if not target.is_dir() or not any(target.iterdir()):
        return {}
    try:
        state: dict[str, Any] = json.loads((target / STATE).read_text("utf-8"))
        run, _ = state["run"], dict(state["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = (
            f"{target}: is not empty and holds no earlier export; choose a new or an empty folder"
        )
        raise ConfigurationError("the results cannot be exported", [problem]) from error
    if run != source.name:
        problem = f"{target}: holds the results of {run}, not of {source.name}; choose another one"
        raise ConfigurationError("the results cannot be exported", [problem])
    return state


def _check_room(export: Export) -> None:
    there = [export.target / name for name in export.files]
    needed = export.bytes - sum(path.stat().st_size for path in there if path.is_file())
    free = shutil.disk_usage(export.target).free
    if needed > 0 and needed + _SPARE_BYTES > free:
        problem = (
            f"{export.target}: {needed / 2**20:.0f} MiB are to be copied, and "
            f"{free / 2**20:.0f} MiB are free on its disk; make room, or choose another folder"
        )
        raise ConfigurationError("there is too little room", [problem])


def _bring(file: ResultFile, target: Path, progress: Progress) -> tuple[FileRecord, bool]:
    """Make the target hold the file; return its record, and whether it had to be copied."""
    if target.is_file() and target.stat().st_size == file.path.stat().st_size:
        wanted = file.record or record_file(file.path)
        if record_file(target) == wanted:
            progress(wanted.size, file.name)
            return wanted, False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}{_PARTIAL}")
    record = _copy(file, partial, progress)
    if file.record is not None and file.record != record:
        partial.unlink()
        raise StoreError(
            f"{file.path}: is not what its stage wrote: it has {counted(record.size, 'byte')} and "
            f"SHA-256 {record.sha256[:12]}, recorded are {file.record.size} and "
            f"{file.record.sha256[:12]}; run the flow again, which makes it anew"
        )
    state = file.path.stat()
    os.utime(partial, ns=(state.st_atime_ns, state.st_mtime_ns))
    partial.replace(target)
    return record, True


def _copy(file: ResultFile, target: Path, progress: Progress) -> FileRecord:
    digest, size = hashlib.sha256(), 0
    with file.path.open("rb") as source, target.open("wb") as out:
        while block := source.read(_BLOCK_BYTES):
            out.write(block)
            digest.update(block)
            size += len(block)
            progress(len(block), file.name)
    return FileRecord(size, digest.hexdigest())


def _report_nothing(count: int, name: str) -> None:
    del count, name


def _write_state(export: Export, *, complete: bool) -> None:
    """Write what is exported, for the reader and for the next export into this folder."""
    state = {
        "run": export.source.name,
        "source": str(export.source),
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": complete,
        "tracks": export.tracks,
        "files": {name: file.path.stat().st_size for name, file in export.files.items()},
        "left_out": {
            "score tracks": sorted(export.left_out),
            "links of yours": sorted(export.links),
        },
    }
    write_json(export.target / STATE, state)
