"""What every test shares: no network, no telemetry, and no skip that nobody notices."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# No test may reach for a model hub or call home; libraries read this when they are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

# A shell that runs the tests in the background has them ignore Ctrl-C, and so would all programs
# that they start, some of which are ended with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is slow, which is no fault of the code. CI tries the same examples each time.
settings.register_profile(
    "qsm",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="QSM_NO_SKIPS" in os.environ,
)
settings.load_profile("qsm")

pytest_plugins = [
    "tests.support.small_model",
    "tests.support.small_text_model",
    "tests.support.toys",
    "tests.support.prefect_api",
    "tests.support.pipeline",
    "tests.support.slurm",
    "tests.support.postgres",
    "tests.support.team",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, so that no process of pytest-xdist ends on one alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where QSM_NO_SKIPS is set (in CI), a skipped test is a failed one.

    A skip there means that something was not installed, so the test proved nothing.
    """
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("QSM_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which QSM_NO_SKIPS forbids: {call.excinfo}"
    return report
