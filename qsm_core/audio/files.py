"""The audio files of a folder: what is taken, what is left out, and why.

One walk for whatever reads a folder of clips or impulse responses. Links to files and folders are
followed, each folder once. Left out, but counted and named: hidden files, whatever lies in a folder
that a program made for itself (`.ipynb_checkpoints`, `__MACOSX`, `@eaDir`), and a folder that was
reached before through another link. A link that leads nowhere is listed as a file, so that its
reader reports it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qsm_core.audio.reading import SUFFIXES
from qsm_core.errors import DataError
from qsm_core.plurals import counted
from qsm_core.spelling import is_utf8, printable

# Listed too, so that they are reported and not passed over.
UNREADABLE_SUFFIXES = (".m4a", ".aac", ".wma", ".mp4", ".amr", ".webm", ".mka", ".ac3", ".mp2")
_PROGRAM_FOLDERS = (
    *("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "__pycache__"),
    *("system volume information", "@tmp", "@recycle"),
)
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class AudioFiles:
    """The audio files below a folder.

    Args:
        folder: The folder.
        files: Those that are taken, in the order of their names.
        left_out: Why others were not, and their paths relative to the folder.
        others: How many files are no audio, by suffix; hidden ones are not counted.
    """

    folder: Path
    files: tuple[Path, ...]
    left_out: dict[str, list[str]] = field(default_factory=dict)
    others: dict[str, int] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the paths of the files relative to the folder, with forward slashes."""
        return [file.relative_to(self.folder).as_posix() for file in self.files]

    def notes(self) -> list[str]:
        """Say what was left out, one sentence a reason."""
        notes = [left_out_note(names, reason) for reason, names in sorted(self.left_out.items())]
        if self.others:
            kinds = ", ".join(f"{suffix} {count}" for suffix, count in sorted(self.others.items()))
            total = counted(sum(self.others.values()), "file")
            notes.append(f"left out: {total} of other kinds ({kinds})")
        return notes


def audio_files(folder: Path, *, used: Iterable[str] = ()) -> AudioFiles:
    """List the audio files below a folder.

    Args:
        folder: The folder.
        used: Suffixes of other files that the caller reads, which are not counted as left out.

    Raises:
        DataError: A folder cannot be listed, or a name is not UTF-8 and fits into no table.
    """
    files: list[Path] = []
    left_out: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    for path, reason in walk_files(folder):
        is_audio = path.suffix.lower() in SUFFIXES + UNREADABLE_SUFFIXES
        if is_audio and reason is None:
            files.append(path)
        elif is_audio and reason is not None:
            left_out.setdefault(reason, []).append(path.relative_to(folder).as_posix())
        elif reason is None and path.suffix.lower() not in used:
            others[path.suffix.lower() or "no suffix"] += 1
    _check_names(folder, files)
    return AudioFiles(folder, tuple(sorted(files)), left_out, dict(others))


def walk_files(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield every file below a folder, and why it is left out: None for one that is taken.

    Raises:
        DataError: A folder cannot be listed.
    """
    return _walk(folder, None, set())


def is_taken(folder: Path) -> bool:
    """Say whether a folder is one of a person's, neither hidden nor made by a program."""
    return _reason(folder.name, is_folder=True) is None


def left_out_note(names: list[str], reason: str) -> str:
    """Say how many audio files were left out, why, and what the first ones are called."""
    shown = ", ".join(printable(name) for name in sorted(names)[:_NAMES_SHOWN])
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return f"left out: {counted(len(names), 'audio file')} {reason} ({shown}{more})"


def _walk(folder: Path, reason: str | None, seen: set[str]) -> Iterator[tuple[Path, str | None]]:
    """Yield every file below a folder, and why it is left out."""
    real = os.path.realpath(folder)
    if real in seen and reason is None:
        reason = "in folders that were read before, through another link"
        seen = {real}  # of a link to a folder above itself, one round is enough
        yield from ((path, reason) for path in _files_of(folder))
        return
    seen.add(real)
    entries = _entries(folder)
    # A folder itself comes before a link to it.
    for entry in sorted(entries, key=lambda entry: (entry.is_symlink(), entry.name)):
        path = folder / entry.name
        own = reason or _reason(entry.name, is_folder=entry.is_dir())
        if not entry.is_dir():
            yield path, own
        elif not (entry.is_symlink() and own is not None):
            yield from _walk(path, own, seen)


def _files_of(folder: Path) -> Iterator[Path]:
    return (folder / entry.name for entry in _entries(folder) if not entry.is_dir())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        problem = f"{printable(str(folder))}: cannot be listed ({error.strerror})"
        raise DataError("a folder cannot be read", [problem]) from error


def _reason(name: str, *, is_folder: bool) -> str | None:
    if is_folder and (name.startswith(".") or name.lower() in _PROGRAM_FOLDERS):
        return f"in folders {printable(name)}"
    return "with hidden names" if name.startswith(".") else None


def _check_names(folder: Path, files: list[Path]) -> None:
    names = sorted(file.relative_to(folder).as_posix() for file in files)
    bad = [printable(name) for name in names if not is_utf8(name)]
    if bad:
        advice = "rename it (`convmv -t utf8` does it for many)"
        raise DataError(
            f"{printable(str(folder))} cannot be used",
            [f"{name}: the name is not UTF-8, so no table can hold it; {advice}" for name in bad],
        )
