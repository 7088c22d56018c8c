"""Content digests of files and folders, and a memo for those of large files.

A folder's digest is that of the list of its files: relative path, size and SHA-256. It does not
depend on where the folder is, nor on times and permissions.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import StoreError
from qsm_core.store.canonical import digest_json

# Below this size, reading a file is about as fast as looking up its digest.
MEMO_BYTES = 4 * 2**20
# A file that was just written could be rewritten within the same tick of its timestamp.
_SETTLED_S = 2.0


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and SHA-256 of one file."""

    size: int
    sha256: str


@dataclass(frozen=True)
class DigestMemo:
    """Remembers the SHA-256 of large files by (inode, size, mtime, ctime) in a folder.

    One small file per digest, written under another name and renamed, so that any number of
    processes on any number of hosts can share the folder.
    """

    folder: Path

    def get(self, state: os.stat_result) -> str | None:
        """Return the remembered digest, or None."""
        try:
            text = self._place(state).read_text()
        except FileNotFoundError:
            return None
        return text if len(text) == hashlib.sha256().digest_size * 2 else None

    def put(self, state: os.stat_result, sha256: str) -> None:
        """Remember a digest, unless the file is so recent that it may still be changing."""
        if time.time() - state.st_mtime < _SETTLED_S:
            return
        place = self._place(state)
        temporary = place.with_name(f"{place.name}.{os.getpid()}.{time.monotonic_ns()}")
        # The memo only saves time: a full disk or a store that belongs to another user must not
        # prevent a finished output from being read.
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(sha256)
            temporary.replace(place)

    def _place(self, state: os.stat_result) -> Path:
        identity = f"{state.st_ino}-{state.st_size}-{state.st_mtime_ns}-{state.st_ctime_ns}"
        name = digest_bytes(identity.encode())[:32]
        return self.folder / name[:2] / name[2:]


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path, memo: DigestMemo | None = None) -> str:
    """Return the SHA-256 of a file's content.

    Raises:
        StoreError: The file is missing, is no regular file, or changed while it was read.
    """
    return record_file(path, memo).sha256


def record_file(path: Path, memo: DigestMemo | None = None) -> FileRecord:
    """Return size and SHA-256 of a file; see `digest_file`."""
    try:
        state = path.stat()
    except FileNotFoundError as error:
        raise StoreError(f"{path}: there is no such file (a link may point nowhere)") from error
    if not stat.S_ISREG(state.st_mode):
        raise StoreError(f"{path}: is not a regular file, so it has no content to digest")
    remember = memo if state.st_size >= MEMO_BYTES else None
    known = remember.get(state) if remember else None
    if known:
        return FileRecord(state.st_size, known)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        after = os.fstat(stream.fileno())
    if (after.st_size, after.st_mtime_ns) != (state.st_size, state.st_mtime_ns):
        raise StoreError(f"{path}: changed while it was read; run again when it is complete")
    if remember:
        remember.put(state, sha256)
    return FileRecord(state.st_size, sha256)


def record_folder(
    folder: Path, memo: DigestMemo | None = None, *, dead_links: bool = False
) -> dict[str, FileRecord]:
    """Return the record of every file below `folder`, by relative path with slashes.

    Links are followed.

    Args:
        folder: The folder.
        memo: Remembers digests of large files.
        dead_links: Whether a link that points nowhere is recorded by what it names; who reads the
            folder decides whether the file is needed. Otherwise it is an error.

    Raises:
        StoreError: As for `digest_file`; or the folder is missing.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder}: there is no such folder")
    return {
        name: _record_link(folder / name)
        if dead_links and _points_nowhere(folder / name)
        else record_file(folder / name, memo)
        for name in sorted(list_files(folder))
    }


def _points_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists()


def _record_link(path: Path) -> FileRecord:
    return FileRecord(0, digest_bytes(b"link to " + os.fsencode(path.readlink())))


def list_files(folder: Path) -> Iterator[str]:
    """Yield the relative path, with slashes, of every file below `folder`."""
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(where, name).relative_to(folder).as_posix() for name in files)


def digest_records(records: Mapping[str, FileRecord], *, leave_out: Iterable[str] = ()) -> str:
    """Return the digest of a list of files.

    Args:
        records: As from `record_folder`.
        leave_out: Relative paths of files or folders that are left out.
    """
    outside = tuple(leave_out)
    listed = [
        [name, records[name].size, records[name].sha256]
        for name in sorted(records)
        if not any(name == place or name.startswith(place + "/") for place in outside)
    ]
    return digest_json(listed, "files")


def digest_folder(folder: Path, memo: DigestMemo | None = None) -> str:
    """Return the digest of everything below `folder`; see `record_folder`."""
    return digest_records(record_folder(folder, memo))


def digest_path(path: Path, memo: DigestMemo | None = None, *, dead_links: bool = False) -> str:
    """Return the digest of a file or of a folder; see `record_folder`."""
    if path.is_dir():
        return digest_records(record_folder(path, memo, dead_links=dead_links))
    return digest_file(path, memo)


def _raise(error: OSError) -> None:
    raise StoreError(f"{error.filename}: cannot be listed: {error.strerror}") from error
