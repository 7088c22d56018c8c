"""The real Prefect server of a test session, for flows that run in the process of pytest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.pipeline import PrefectService


@pytest.fixture(scope="session")
def prefect_api(prefect_service: PrefectService) -> Iterator[str]:
    """The address of a Prefect API that this process and its workers use."""
    from flows.terminal.environment import offline_environment

    os.environ.update(offline_environment(os.environ))
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    url, home = prefect_service.api_url, prefect_service.environment["PREFECT_HOME"]
    with temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: home}):
        yield url
        APILogWorker.drain_all(timeout=10)
