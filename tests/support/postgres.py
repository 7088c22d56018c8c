"""A real PostgreSQL for the tests of one session: a cluster of its own, on a Unix socket only."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; Debian keeps them out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@dataclass(frozen=True)
class Postgres:
    """A running cluster, reached over the socket in its folder."""

    programs: Path
    folder: Path
    database: str = "qsm"

    @property
    def url(self) -> str:
        """Address for Prefect."""
        return f"postgresql+asyncpg://qsm@/{self.database}?host={self.folder}"

    def run(self, program: str, *arguments: str) -> str:
        """Run one of its programs as the user that owns it and return what it prints."""
        words = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            words = ["runuser", "-u", "postgres", "--", *words]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def dump(self) -> str:
        """Return the whole database as SQL."""
        return self.run("pg_dump", "--host", str(self.folder), "--username", "qsm", self.database)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    # Short and readable for the user of PostgreSQL: a socket's path has at most 107 letters.
    folder = Path(tempfile.mkdtemp(prefix="qsm-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    cluster = Postgres(found, folder)
    data = str(folder / "data")
    cluster.run("initdb", "--pgdata", data, "--auth=trust", "--username=qsm", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    log = str(folder / "log")
    cluster.run("pg_ctl", "start", "--wait", "--pgdata", data, "--log", log, "--options", options)
    try:
        cluster.run("createdb", "--host", str(folder), "--username", "qsm", "qsm")
        yield cluster
    finally:
        cluster.run("pg_ctl", "stop", "--wait", "--pgdata", data, "--mode", "immediate")
        shutil.rmtree(folder)
