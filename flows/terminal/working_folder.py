"""Errors of the folder that a command works in, in one line: it is full, or cannot be written."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from qsm_core.errors import ConfigurationError
from qsm_core.store.full_disk import is_full_disk

_LITTLE_BYTES = 2**20  # less than the database of a first run takes
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def folder_problem(error: OSError) -> ConfigurationError | None:
    """Return the error for the user where a file of a command cannot be written, else None."""
    place = Path(error.filename or ".").absolute()
    if is_full_disk(error):
        return ConfigurationError("the disk is full", [_full(place, str(error.strerror or error))])
    if error.errno not in _UNWRITABLE or error.filename is None:
        return None
    problem = f"{place}: {error.strerror}; allow it, or run in a folder of your own"
    return ConfigurationError("a file cannot be written", [problem])


def full_disk_reason(folder: Path) -> str | None:
    """Return in words that the disk of a folder is as good as full, or None."""
    return _full(folder, "no room") if _free_bytes(folder) < _LITTLE_BYTES else None


def _full(place: Path, words: str) -> str:
    free = _free_bytes(place) / 2**20
    return (
        f"{place}: {words}; {free:.1f} MiB are free on its disk. Make room, or run in a folder on "
        "another disk"
    )


def _free_bytes(place: Path) -> int:
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
