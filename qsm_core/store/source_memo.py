"""What was read of source files, remembered on disk for the processes that come after.

A run and each of its workers digest some two hundred modules before they begin. Parsing them takes
most of a second of each process; with this memory only what was edited is parsed.

It lies in the user's cache folder (QSM_CACHE, or `qsm` in XDG_CACHE_HOME or in ~/.cache), one file
for each folder that holds a package: not in the store, which others may write, and not beside the
source, which may be a read-only image. Every checkout has its own; the hosts of a cluster share it
by the user's home. Where it cannot be written, each process parses for itself.

A file is known again by its inode, size, mtime and ctime, so an edit that puts an old time back is
noticed. A file that was just written is not remembered: it could be written again within the same
tick of the clock. A memory that is torn, damaged, or made by other code is taken for empty.
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
    """By what a file is known again."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class ReadModule(NamedTuple):
    """What is needed of a module: the digest of its meaning and the dotted names it imports."""

    digest: str
    imports: tuple[str, ...]


_Known = dict[str, tuple[FileState, ReadModule]]  # by path below the folder of the package


class SourceMemo:
    """Remembers what was read of the source files below one package folder."""

    def __init__(self, root: Path) -> None:
        self._root = f"{root}{os.sep}"
        self._place = cache_folder() / _name(root)
        self._lock = threading.Lock()
        self._known = _load(self._place)
        self._grown = False

    def get(self, path: Path, state: FileState) -> ReadModule | None:
        """Return what was read of a file in this state, or None."""
        known = self._known.get(self._key(path))
        return known[1] if known is not None and known[0] == state else None

    def put(self, path: Path, state: FileState, module: ReadModule) -> None:
        """Remember what was read of a file, unless it is so young that it may be changing."""
        written_ns = max(state.mtime_ns, state.ctime_ns)
        if time.time() - written_ns / 1e9 < _SETTLED_S:
            return
        with self._lock:
            self._known[self._key(path)] = (state, module)
            self._grown = True

    def save(self) -> None:
        """Write what is new beside what other processes have written in the meantime."""
        if not self._grown:
            return
        with self._lock:
            self._grown = False
            _save(self._place, {**_load(self._place), **self._known})

    def _key(self, path: Path) -> str:
        return str(path).removeprefix(self._root)


def state_of(stat: os.stat_result) -> FileState:
    """Return by what a file is known again."""
    return FileState(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of what this user's processes remember; it changes no result."""
    if environment.get("QSM_CACHE"):
        return Path(environment["QSM_CACHE"])
    try:
        return Path(environment.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "qsm"
    except RuntimeError:  # a user without a home remembers nothing
        return Path(os.devnull)


def _name(root: Path) -> str:
    """Return the name of the memory of a package: of its place, and of the version of Python."""
    return f"sources-{digest_bytes(str(root).encode())[:16]}.{sys.implementation.cache_tag}.json"


def _load(place: Path) -> _Known:
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
    beside = place.with_name(f"{place.name}.{os.getpid()}.{time.monotonic_ns()}")
    # Remembering is a matter of speed: a full disk or a read-only one is no reason to fail.
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_text(f"{_seal(text)}\n{text}")
            beside.replace(place)
        finally:
            beside.unlink(missing_ok=True)


def _seal(text: str) -> str:
    """Return a digest of a memory together with the code that decides what is in it."""
    return digest_bytes(f"{_reader()}{text}".encode())


@cache
def _reader() -> str:
    """Return the digest of the code that reads a module."""
    return digest_bytes(Path(syntax.__file__).read_bytes())
