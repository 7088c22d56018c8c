"""Paths in tables that were written on another machine, and the audio files of a folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from qsm_core.audio.reading import SUFFIXES

UNREADABLE_SUFFIXES = (".m4a", ".aac", ".wma", ".mp4", ".amr", ".webm", ".mka")
_PROBES = 20


def with_forward_slashes(text: str) -> str:
    """Return a path of any operating system with forward slashes."""
    return PureWindowsPath(text).as_posix() if "\\" in text else text


def relocate(paths: list[str], root: Path) -> list[str]:
    """Find under `root` the files of a table that was written on another machine.

    A path is tried as it is, then without its first folder, without its first two, and so on;
    the variant that finds most of the first files is used for all.

    Args:
        paths: As the table has them.
        root: Where the files should be.

    Returns:
        The paths relative to `root` (or absolute, where such files exist); where nothing was
        found, those of the table with forward slashes.
    """
    candidates = [with_forward_slashes(path) for path in paths]
    probes = candidates[:_PROBES]
    depth = max((len(PurePosixPath(path).parts) for path in probes), default=0)
    best, most = 0, 0
    for dropped in range(depth):
        found = sum((root / _without(path, dropped)).is_file() for path in probes)
        if found > most:
            best, most = dropped, found
    return [_without(path, best) for path in candidates]


def _without(path: str, dropped: int) -> str:
    parts = PurePosixPath(path).parts
    if not parts:
        return ""
    return str(PurePosixPath(*parts[min(dropped, len(parts) - 1) :]))


def audio_files(folder: Path) -> list[Path]:
    """List the audio files below a folder in the order of their names; hidden ones are left out.

    Files of an audio format that cannot be read are listed too, so that they are reported.
    """
    wanted = SUFFIXES + UNREADABLE_SUFFIXES
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in wanted and path.is_file() and not path.name.startswith(".")
    )
