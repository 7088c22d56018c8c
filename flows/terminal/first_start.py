"""The first start of a Prefect server in a folder, which makes the tables of its database.

Two servers that make them at the same time both fail, so such starts come one after the other. A
start with another version of Prefect counts as a first one: it may change the tables. The later
starts are quicker, because the types of blocks need not be written again either.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

# What a server need not do where another of the same version has done it.
WITHOUT_BLOCK_TYPES = {
    "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
}


def is_prepared(home: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this version of Prefect has made the tables of the database in a folder."""
    elsewhere = any(name.endswith("DATABASE_CONNECTION_URL") for name in environment)
    return not elsewhere and _mark(home).exists() and (home / "prefect.db").exists()


def mark_prepared(home: Path) -> None:
    """Note that a server of this version has started with the database in a folder."""
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
    return home / f"prepared-by-prefect-{version('prefect')}"
