"""What a start of a Prefect server keeps in order in a folder, and when that is due.

The first start makes the tables of the database. Two servers that make them at the same time both
fail, so first starts come one after the other. A start with another version of Prefect counts as a
first one: it may change the tables.

A start also writes the types of blocks and deletes old events. A server for one run leaves that to
one start a day: it takes time, and a write beside those of the run can make Prefect's client wait
two seconds before it sends a request again ("database is locked").
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

WITHOUT_UPKEEP = {
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": ",",  # no kind of it
}
_DAY_S = 24 * 3600.0


def is_first_start(home: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether no server of this version has started with the database in a folder."""
    elsewhere = any(name.endswith("DATABASE_CONNECTION_URL") for name in environment)
    return elsewhere or not _mark(home).exists() or not (home / "prefect.db").exists()


def upkeep_is_due(home: Path) -> bool:
    """Whether the last start that kept the database in order was a day ago or never."""
    try:
        return time.time() - _mark(home).stat().st_mtime > _DAY_S
    except FileNotFoundError:
        return True


def note_upkeep(home: Path) -> None:
    """Note that a server of this version has kept the database in order."""
    _mark(home).touch()


@contextmanager
def first_start_lock(home: Path) -> Iterator[None]:
    """Wait until no other process starts a server in a folder for the first time.

    The kernel gives the lock back, however a process ends. Where the file system has no locks, the
    block runs without.
    """
    with (home / "first-start.lock").open("w") as lock:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _mark(home: Path) -> Path:
    return home / f"kept-by-prefect-{version('prefect')}"
