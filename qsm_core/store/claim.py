"""One process makes a key; another that needs the same key waits, and then reuses the output.

The claim is an `flock` on a file, so the kernel releases it when its holder ends, even by
SIGKILL. On a file system without `flock`, each process works in its own folder, and the first to
rename its finished output wins.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qsm_core.store.layout import WorkFolder

Lock = Callable[[int, int], object]
OnWait = Callable[[str], None]

_POLL_S = 0.2
_REPORT_EVERY_S = 60.0
_UNSUPPORTED = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK})


@contextmanager
def claim(folder: Path, *, on_wait: OnWait, lock: Lock = fcntl.flock) -> Iterator[WorkFolder]:
    """Hold the claim on `folder` within the `with` block, waiting for it if necessary.

    Args:
        folder: The work folder of a key.
        on_wait: Called with a sentence that names the holder, at once and then every minute.
        lock: Replaces `fcntl.flock`, to test file systems that lack it.

    Yields:
        The work folder; a private one where locks are not supported.
    """
    descriptor = _wait_for_lock(folder, on_wait, lock)
    if descriptor is None:
        WorkFolder(folder).lock.unlink(missing_ok=True)
        with suppress(OSError):  # it may hold unfinished work from when locks were supported
            folder.rmdir()
        yield _private_folder(folder)
        return
    try:
        yield WorkFolder(folder)
    finally:
        os.close(descriptor)


def is_claimed(folder: Path) -> bool:
    """Return whether a living process holds the claim on a work folder."""
    try:
        descriptor = os.open(WorkFolder(folder).lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def discard(work: WorkFolder) -> None:
    """Remove a work folder whose claim this process holds, the lock last."""
    for part in work.path.iterdir():
        if part.is_dir():
            shutil.rmtree(part)
        elif part != work.lock:
            part.unlink(missing_ok=True)
    work.lock.unlink(missing_ok=True)
    try:
        work.path.rmdir()
    except OSError as error:
        # A process that waits for the claim has created a new lock file in it.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise


class _LocksUnsupportedError(Exception):
    """The file system has no `flock`."""


def _wait_for_lock(folder: Path, on_wait: OnWait, lock: Lock) -> int | None:
    """Return a descriptor that holds the lock, or None where there are no locks."""
    reported_at = 0.0
    while True:
        try:
            descriptor = _try_lock(folder, lock)
        except _LocksUnsupportedError:
            return None
        if descriptor is not None:
            return descriptor
        now = time.monotonic()
        if not reported_at or now - reported_at > _REPORT_EVERY_S:
            reported_at = now
            on_wait(f"waiting for {_holder(folder)}, who is making the same output")
        time.sleep(_POLL_S)


def _try_lock(folder: Path, lock: Lock) -> int | None:
    """Return a descriptor that holds the lock, or None if another process has it."""
    path = WorkFolder(folder).lock
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError:  # the holder has just finished and removed the folder
        return None
    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_same_file(descriptor, path):
            _write_holder(descriptor)
            return descriptor
    except BlockingIOError:
        pass
    except OSError as error:
        os.close(descriptor)
        if error.errno in _UNSUPPORTED:
            raise _LocksUnsupportedError from error
        raise
    os.close(descriptor)
    return None


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Return whether the locked file still has its name; its holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _write_holder(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    holder = {"host": socket.gethostname(), "pid": os.getpid()}
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(folder: Path) -> str:
    try:
        holder = json.loads(WorkFolder(folder).lock.read_text())
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError):
        return "another process"


def _private_folder(folder: Path) -> WorkFolder:
    private_name = f"{folder.name}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(3)}"
    work = WorkFolder(folder.with_name(private_name))
    work.path.mkdir(parents=True)
    return work
