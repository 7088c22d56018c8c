"""A full disk, told in a way that says what to do."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from qsm_core.errors import StoreError

_FULL_ERRNO = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Libraries in Rust and C++ pass the system's words on, but not its number.
_FULL_WORDS = ("no space left on device", "disk quota exceeded")


def is_full_disk(error: BaseException) -> bool:
    """Say whether an error, or one that caused it, means that nothing more can be written."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL_ERRNO:
            return True
        if any(words in str(seen).lower() for words in _FULL_WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def full_disk_error(error: BaseException, *, root: Path, work: Path) -> StoreError:
    """Return the error that tells a person about the full disk.

    Args:
        error: What the system said.
        root: Root of the store.
        work: The claim whose work could not be written; it is kept.
    """
    place = getattr(error, "filename", None) or work
    free = shutil.disk_usage(root).free
    return StoreError(
        f"the disk is full: {place} could not be written ({error}); {free / 2**20:.0f} MiB are "
        f"free at {root}. Make room, for example with `python -m qsm_core.store prune --root "
        f"{root} --unreferenced`, and run again: what is finished is reused, and the unfinished "
        f"work is kept in {work}"
    )
