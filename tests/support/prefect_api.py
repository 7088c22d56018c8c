"""A real Prefect server for the tests of one session, on loopback, with a database of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect API that this process and its workers use."""
    from flows.local_server import free_port, offline_environment, started_server

    os.environ.update(offline_environment(os.environ))
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    home = tmp_path_factory.mktemp("prefect")
    server = started_server(home, free_port())
    with server as url, temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: str(home)}):
        yield url
        APILogWorker.drain_all(timeout=10)
