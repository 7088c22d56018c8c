"""Recognise a full disk, and raise an error that says what to do about it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from qsm_core.errors import StoreError, in_words

_FULL_ERRNO = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Libraries in Rust and C++ pass on the system's message, but not its errno.
_FULL_WORDS = ("no space left on device", "disk quota exceeded")


def is_full_disk(error: BaseException) -> bool:
    """Return whether an error, or one of its causes, means that the disk is full."""
    current: BaseException | None = error
    seen = set[int]()  # a chain of causes may lead back into itself
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if isinstance(current, OSError) and current.errno in _FULL_ERRNO:
            return True
        if any(words in in_words(current).lower() for words in _FULL_WORDS):
            return True
        current = current.__cause__ or current.__context__
    return False


def full_disk_error(error: BaseException, *, root: Path, work: Path) -> StoreError:
    """Return the error that reports a full disk to the user.

    Args:
        error: The error of the system.
        root: Root of the store.
        work: The work folder that could not be written; it is kept.
    """
    place = getattr(error, "filename", None) or work
    free = shutil.disk_usage(root).free
    return StoreError(
        f"the disk is full: {place} could not be written ({error}); {free / 2**20:.0f} MiB are "
        f"free at {root}. Make room, for example with `python -m qsm_core.store prune --root "
        f"{root} --unreferenced`, and run again: what is finished is reused, and the unfinished "
        f"work is kept in {work}"
    )
