"""Write and move files so that a crash leaves either the old state or the new one."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import Any

_READABLE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


def write_json(path: Path, value: Any) -> None:
    """Write JSON to `path` in one step: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_tree(folder: Path) -> None:
    """Flush everything below `folder` to disk, files before the folders that list them."""
    for where, _, files in os.walk(folder, topdown=False):
        for name in files:
            fsync(Path(where, name))
        fsync(Path(where))


def make_read_only(path: Path) -> None:
    """Remove write permission from a file, so that nobody edits it by accident.

    Read permission is set to that of the folder: some libraries create files that only their owner
    can read, whatever the umask says (safetensors does).
    """
    path.chmod(path.parent.stat().st_mode & _READABLE)


def move(source: Path, target: Path) -> None:
    """Rename a folder and flush both parents to disk.

    Raises:
        OSError: `target` exists and is not empty, among others.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    source.rename(target)
    fsync(target.parent)
    fsync(source.parent)


def empty_folder(path: Path) -> Path:
    """Create `path` as an empty folder, removing what was there."""
    if path.exists():
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


def folder_bytes(path: Path) -> int:
    """Return the total size of the files below `path`; files that vanish meanwhile count as 0."""
    total = 0
    for where, _, files in os.walk(path):
        for name in files:
            try:
                total += Path(where, name).lstat().st_size
            except FileNotFoundError:
                continue
    return total


def has_files(folder: Path) -> bool:
    """Return whether there is any file below `folder`."""
    return folder.is_dir() and any(path.is_file() for path in folder.rglob("*"))
