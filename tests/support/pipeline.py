"""A real Prefect server and small real runs of `complete_pipeline`, each in its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from flows.speech.clip_fields import SYNTHETIC_FIELDS
from flows.terminal.environment import offline_environment
from flows.terminal.loopback import free_port
from flows.terminal.server_process import loopback_server
from tests.support.prefect_home import MakeHome
from tests.support.server_records import Server

ROOT = Path(__file__).parents[2]
# The smallest numbers with which every stage has something to do. A second worker would import all
# libraries once more; tests of what runs side by side ask for it.
TINY = {
    "workers": 1,
    "train_clips": 12,
    "dev_clips": 8,
    "test_clips": 8,
    "conditions": "dur_100ms,dur_1000ms,snr_0dB,reverb_0.3s,filter_bandpass",
    "epochs": 1,
    "renderings_per_clip": 2,
    "lora_rank": 4,
    "opro_iterations": 1,
    "opro_candidates": 4,
    "opro_clips": 10,
    "baselines": "none",
}
STAGES = (
    "corpus",
    "rirs",
    "baseline",
    "lora",
    "eval_lora",
    "opro_base",
    "opro_lora",
    "eval_base_opro",
    "eval_lora_opro",
    "further_base",
    "further_lora",
    "analysis",
    "instructions",
    "report",
)


@dataclass(frozen=True)
class PrefectService:
    """A running Prefect server: its address, and the environment that leads to it."""

    api_url: str
    environment: dict[str, str]

    @property
    def ui_url(self) -> str:
        """Address of the UI."""
        return self.api_url.removesuffix("/api")


@pytest.fixture(scope="session")
def prefect_service(
    prefect_home: MakeHome, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrefectService]:
    """Run one real server for all tests of a worker process of pytest."""
    home = prefect_home(tmp_path_factory.mktemp("prefect"))
    with loopback_server(home, free_port()) as api_url:
        yield PrefectService(
            api_url,
            {
                **os.environ,
                **offline_environment(os.environ),
                "PREFECT_HOME": str(home),
                "PREFECT_API_URL": api_url,
            },
        )


def tiny_sizes(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return `TINY` without the numbers of synthetic clips where the run has clips of its own."""
    own = SYNTHETIC_FIELDS if "data" in parameters else ()
    own = ("test_clips",) if "test_data" in parameters else own
    return {name: value for name, value in TINY.items() if name not in own}


def pipeline_command(folder: Path, *flags: str, **parameters: object) -> list[str]:
    """Return the command of a tiny run whose store and results lie in `folder`."""
    values = {
        **tiny_sizes(parameters),
        "store": folder / "store",
        "results": folder / "results",
        **parameters,
    }
    given = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    return [sys.executable, "-m", "flows.complete_pipeline", *given, *flags]


def run_pipeline(
    service: PrefectService, folder: Path, *flags: str, **parameters: object
) -> subprocess.CompletedProcess[str]:
    """Run a tiny pipeline to its end and return what it printed."""
    return subprocess.run(
        pipeline_command(folder, *flags, **parameters),
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,  # the test itself is bounded by pytest
        check=False,
    )


def start_pipeline(
    service: PrefectService,
    folder: Path,
    *,
    environment: Mapping[str, str] = {},
    **parameters: object,
) -> subprocess.Popen[bytes]:
    """Start a tiny pipeline; what it prints is added to `folder`/log.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            pipeline_command(folder, **parameters),
            env={**service.environment, **environment},
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def last_states(service: PrefectService, folder: Path) -> dict[str, str]:
    """Return how each stage ended of the last run whose results lie in `folder`."""
    server = Server(service.api_url)
    return server.states(server.flow_runs(folder / "results")[-1]["id"])


def worker_processes(process: psutil.Process) -> set[int]:
    """Return the ids of the Dask workers below a process."""
    found = set()
    for child in process.children(recursive=True):
        try:
            if any("spawn_main" in word for word in child.cmdline()):
                found.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def processes_with(name: str, value: str) -> set[int]:
    """Return the ids of all living processes that were started with an environment variable."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
