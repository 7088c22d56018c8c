"""Paths in tables that were written on another machine, or in another spelling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from qsm_core.audio.files import audio_files
from qsm_core.spelling import normalized

_PROBES = 20


def plain_path(text: str) -> str:
    """Return a path of any operating system with forward slashes and without `./`."""
    text = text.strip()
    if "\\" in text:
        text = PureWindowsPath(text).as_posix()
    return str(PurePosixPath(text)) if text else ""


def relocate(paths: Sequence[str], root: Path) -> list[str]:
    """Find under `root` the files of a table that was written on another machine.

    A path is tried as it is, then without its first folder, without its first two, and so on;
    the variant that finds most of the first files is used for all. A name whose letters are
    composed in another way (é as one character or as two) is found too.

    Args:
        paths: As the table has them.
        root: Where the files should be.

    Returns:
        The paths relative to `root` (or absolute, where such files exist); where nothing was
        found, those of the table with forward slashes.
    """
    candidates = [plain_path(path) for path in paths]
    probes = list(dict.fromkeys(candidates))[:_PROBES]
    depth = max((len(PurePosixPath(path).parts) for path in probes), default=0)
    respelt = _respelt(root) if any(not path.isascii() for path in candidates) else {}
    best, most = 0, 0
    for dropped in range(depth):
        tried = [_without(path, dropped) for path in probes]
        found = sum((root / path).is_file() or normalized(path) in respelt for path in tried)
        if found > most:
            best, most = dropped, found
    placed = [_without(path, best) for path in candidates]
    return [
        path if path.isascii() or (root / path).exists() else respelt.get(normalized(path), path)
        for path in placed
    ]


def _respelt(root: Path) -> dict[str, str]:
    """Return the audio files below a folder by the composed form of their names."""
    if not root.is_dir():
        return {}
    return {normalized(name): name for name in audio_files(root).names()}


def _without(path: str, dropped: int) -> str:
    parts = PurePosixPath(path).parts
    if not parts:
        return ""
    return str(PurePosixPath(*parts[min(dropped, len(parts) - 1) :]))
