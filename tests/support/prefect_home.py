"""Homes of Prefect servers whose empty database is made once for all tests of a session.

A server that finds no database makes its tables by a hundred migrations, which costs more than
all the rest of its start. Servers that find none are started by
`tests/flows/terminal/test_local_server.py` and `tests/deployments/test_service.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.terminal.loopback import free_port
from flows.terminal.server_process import loopback_server
from tests.support.once import made_once

MakeHome = Callable[[Path], Path]


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> MakeHome:
    """Give what makes a folder the home of a server, with an empty database in it."""
    template = made_once(tmp_path_factory, "prefect-home", _start_a_server)

    def make(folder: Path) -> Path:
        shutil.copytree(template, folder, dirs_exist_ok=True)
        return folder

    return make


def _start_a_server(home: Path) -> None:
    with loopback_server(home, free_port()):
        pass
