"""Audio that is read is the audio that was checked, from the first sample to the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qsm_core.errors import DataError, StoreError
from qsm_core.store.digests import digest_file


@contextmanager
def unchanged(files: Mapping[Path, str]) -> Iterator[None]:
    """Read files within the `with` block, and know that they are those that were checked.

    Args:
        files: The files, and their SHA-256 when they were checked.

    Raises:
        DataError: Some are gone, are others, or changed within the block; all are listed.
    """
    states: dict[Path, tuple[int, int, int]] = {}
    problems = []
    for path, sha256 in files.items():
        try:
            states[path] = state_of(path)
            if digest_file(path) != sha256:
                problems.append(f"{path}: has changed since it was checked; run the command again")
        except (OSError, StoreError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            said = str(reason).removeprefix(f"{path}: ")
            problems.append(f"{path}: cannot be read any more ({said})")
    _raise_if_any(problems)
    yield
    _raise_if_any(
        [
            f"{path}: changed while it was read; run the command again when it is complete"
            for path, state in states.items()
            if not path.is_file() or state_of(path) != state
        ]
    )


def state_of(path: Path) -> tuple[int, int, int]:
    """Return what changes with a file: its number on the disk, its size, and when it was written.

    Raises:
        OSError: There is no such file.
    """
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def _raise_if_any(problems: list[str]) -> None:
    if problems:
        left = len(problems) - 40
        shown = [*problems[:40], f"and {left} more"] if left > 0 else problems
        raise DataError("the audio is not what was checked", shown)
