"""Digests and imports of source files, cached on disk for later processes.

A run and each of its workers digest some two hundred modules before they start. Parsing these takes
each process most of a second; with this memo only edited files are parsed.

The memo is in the user's cache folder (QSM_CACHE, or `qsm` in XDG_CACHE_HOME or in ~/.cache), one
file for each folder that holds a package: not in the store, which others may write, and not beside
the source, which may be a read-only image. Every checkout has its own; the hosts of a cluster share
it through the user's home. If it cannot be written, each process parses for itself.

A file is identified by its inode, size, mtime and ctime, so an edit that restores an old time is
noticed. A file that was just written is not remembered: it could be rewritten within the same tick
of its timestamp. A memo that is incomplete, damaged, or written by other code is treated as empty.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from qsm_core.store import syntax
from qsm_core.store.digests import digest_bytes

_SETTLED_S = 2.0


class FileState(NamedTuple):
    """What identifies an unchanged file."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class ReadModule(NamedTuple):
    """What was read from a module: the digest of its meaning and the dotted names it imports."""

    digest: str
    imports: tuple[str, ...]


_Entries = dict[str, tuple[FileState, ReadModule]]  # by path below the folder of the package


class SourceMemo:
    """Remembers what was read from the source files below one package folder."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self._place = cache_folder() / _name(root)
        self._lock = threading.Lock()
        self._known = _load(self._place)
        self._changed = False

    def get(self, path: Path, state: FileState) -> ReadModule | None:
        """Return what was read from a file in this state, or None."""
        known = self._known.get(self._key(path))
        return known[1] if known is not None and known[0] == state else None

    def put(self, path: Path, state: FileState, module: ReadModule) -> None:
        """Remember what was read from a file, unless it is so recent that it may be changing."""
        written_ns = max(state.mtime_ns, state.ctime_ns)
        if time.time() - written_ns / 1e9 < _SETTLED_S:
            return
        with self._lock:
            self._known[self._key(path)] = (state, module)
            self._changed = True

    def save(self) -> None:
        """Write what is new, merged with what other processes have written in the meantime."""
        if not self._changed:
            return
        with self._lock:
            self._changed = False
            _save(self._place, {**_load(self._place), **self._known})

    def _key(self, path: Path) -> str:
        return str(path).removeprefix(self._root)


def state_of(stat: os.stat_result) -> FileState:
    """Return what identifies an unchanged file."""
    return FileState(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder of this user's processes; it affects no result."""
    if environment.get("QSM_CACHE"):
        return Path(environment["QSM_CACHE"])
    try:
        return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "qsm"
    except RuntimeError:  # a user without a home folder has no cache
        return Path(os.devnull)


def _name(root: Path) -> str:
    """Return the name of a package's memo, by its folder and the version of Python."""
    return f"sources-{digest_bytes(str(root).encode())[:16]}.{sys.implementation.cache_tag}.json"


def _load(place: Path) -> _Entries:
    try:
        seal, _, text = place.read_text().partition("\n")
    except (OSError, UnicodeDecodeError):
        return {}
    if seal != _seal(text):
        return {}
    return {
        path: (FileState(*state), ReadModule(digest, tuple(imports)))
        for path, (state, digest, imports) in json.loads(text).items()
    }


def _save(place: Path, known: Mapping[str, tuple[FileState, ReadModule]]) -> None:
    text = json.dumps({path: (state, *module) for path, (state, module) in known.items()})
    temporary = place.with_name(f"{place.name}.{os.getpid()}.{time.monotonic_ns()}")
    # The memo only saves time: a full or read-only disk is no reason to fail.
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(f"{_seal(text)}\n{text}")
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)


def _seal(text: str) -> str:
    """Return a digest of a memo together with the code that decides what is in it."""
    return digest_bytes(f"{_reader_digest()}{text}".encode())


@cache
def _reader_digest() -> str:
    """Return the digest of the code that reads a module."""
    return digest_bytes(Path(syntax.__file__).read_bytes())
