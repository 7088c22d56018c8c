"""What every test shares: no network, no telemetry, and no skip that nobody notices."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# No test may reach for a model hub or call home; libraries read this when they are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # as flows.terminal.local_server does
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

# The tests start hundreds of Python processes: each would compile the sources anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

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
    "tests.support.tiny_llama",
    "tests.support.toys",
    "tests.support.prefect_home",
    "tests.support.pipeline",
    "tests.support.finished",
    "tests.support.prefect_api",
    "tests.support.nvidia_smi",
    "tests.support.slurm",
    "tests.support.postgres",
    "tests.support.team",
]


# The files that take minutes, the longest first: a process of pytest-xdist must not end on one. The
# first makes the finished run that others copy, the second needs none.
LONGEST = (
    "flows/test_complete_pipeline.py",
    "slurm/test_disturbances.py",
    "flows/test_faults.py",
    "deployments/test_service.py",
    "slurm/test_pipeline.py",
    "tasks/run/test_runner.py",
    "flows/test_resume.py",
    "ui/test_prefect_ui.py",
    "deployments/test_automations.py",
    "deployments/test_team.py",
    "flows/test_server_loss.py",
    "flows/test_optimize_prompt.py",
    "qsm_core/prompting/test_optimize.py",
)
# Files that stand on the same expensive thing, by what that is: one process runs them all.
TOGETHER = {
    "tests/deployments/test_automations.py": "the service of a team",
    "tests/deployments/test_team.py": "the service of a team",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, then the others that have slow tests."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    if missing := [str(path) for path in ranks if not path.exists()]:
        raise pytest.UsageError(f"LONGEST in {__file__} names files that do not exist: {missing}")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (ranks.get(item.path, len(ranks)), item.path not in slow))


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what this session's processes remember out of the user's cache folder."""
    os.environ["QSM_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deal out whole files, as `--dist loadfile` does, and some files only together."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


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
