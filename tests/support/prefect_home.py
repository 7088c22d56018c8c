"""Homes of Prefect servers whose empty database is made once for all tests of a session.

A server that finds no database makes its tables by a hundred migrations, which costs more than
all the rest of its start. Servers that find none are started by
`tests/flows/terminal/test_local_server.py` and `tests/deployments/test_service.py`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.terminal.loopback import free_port
from flows.terminal.server_process import loopback_server

MakeHome = Callable[[Path], Path]


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> MakeHome:
    """Give what makes a folder the home of a server, with an empty database in it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # each process has a folder of its own in it
    template = shared / "prefect-home"
    with (shared / "prefect-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel gives it back, however this ends
        if not template.exists():
            fresh = shared / f"prefect-home-{os.getpid()}"
            fresh.mkdir()
            with loopback_server(fresh, free_port()):
                pass
            fresh.rename(template)

    def make(folder: Path) -> Path:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        return folder

    return make
