"""`make ui` for real: server, deployments, worker, a run from another terminal, and the end.

Two services stand behind the tests, which follow their life: one from its first start to Ctrl-C,
and one that is started where another was killed, to SIGTERM.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from flows.terminal.loopback import free_port
from tests.support.finished import FinishedRun
from tests.support.pipeline import TINY
from tests.support.prefect_home import MakeHome
from tests.support.server_records import Server

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True)
class Service:
    """A running service in a folder of its own."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def home(self) -> Path:
        return self.folder / ".qsm" / "prefect"

    @property
    def output(self) -> str:
        return (self.folder / "service.log").read_text()

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what the API answers."""
        return Server(self.api_url).ask(path, body)

    def flow_runs(self) -> list[dict[str, Any]]:
        return list(self.ask("flow_runs/filter", {}))

    def run_deployment(self, **parameters: object) -> None:
        """Start a run of the deployment, as the form of the UI does."""
        deployment = self.ask("deployments/name/complete-pipeline/embedded")
        body = {"parameters": {**TINY, **parameters}, "state": {"type": "SCHEDULED"}}
        self.ask(f"deployments/{deployment['id']}/create_flow_run", body)

    def family(self) -> set[psutil.Process]:
        return set(psutil.Process(self.process.pid).children(recursive=True))

    def end(self) -> None:
        """End it, if no test has."""
        self.process.terminate()
        self.process.wait(timeout=120)


def _environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deployments.service", *arguments]


def _start(folder: Path, port: int) -> Service:
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            _command("--port", str(port)),
            cwd=folder,
            env=_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Service(process, folder, port)


def _wait_for(condition: Any, what: str, timeout_s: float = 300) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s:.0f} s"
        time.sleep(0.3)


def _wait_until_ready(service: Service) -> None:
    def ready() -> bool:
        assert service.process.poll() is None, service.output
        return "started!" in service.output  # the worker says so, the last of all

    _wait_for(ready, "the start of the service")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that is started for the first time."""
    running = _start(tmp_path_factory.mktemp("service"), free_port())
    try:
        _wait_until_ready(running)
        yield running
    finally:
        running.end()


@pytest.fixture(scope="module")
def started_again(
    tmp_path_factory: pytest.TempPathFactory, prefect_home: MakeHome
) -> Iterator[Service]:
    """A service in a folder in which one was killed, and nothing else that it ran."""
    folder = tmp_path_factory.mktemp("killed")
    prefect_home(folder / ".qsm" / "prefect")
    killed = _start(folder, free_port())
    try:
        _wait_until_ready(killed)
        killed.run_deployment()
        _wait_for(lambda: killed.flow_runs()[0]["state_type"] == "RUNNING", "the start of the run")
        family = killed.family()
    finally:
        killed.process.kill()
        killed.process.wait()
    _, alive = psutil.wait_procs(family, timeout=90)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []
    following = _start(folder, free_port())
    try:
        _wait_until_ready(following)
        yield following
    finally:
        following.end()


def test_address_is_printed_and_deployments_are_there(service: Service) -> None:
    assert f"Prefect UI: http://127.0.0.1:{service.port}\n" in service.output
    names = {one["name"] for one in service.ask("deployments/filter", {})}
    assert names >= {"embedded", "qwen2-audio-7b", "parity-check"}
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/", timeout=30) as page:
        assert b"<html" in page.read()


def test_listens_on_loopback_only(service: Service) -> None:
    addresses = {
        connection.laddr.ip
        for process in (psutil.Process(service.process.pid), *service.family())
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_second_start_is_refused(service: Service) -> None:
    second = subprocess.run(
        _command("--port", str(free_port())),
        cwd=service.folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert second.returncode == 2
    assert "the service runs already" in second.stderr
    assert f"http://127.0.0.1:{service.port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            _command("--port", str(port)),
            cwd=tmp_path,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port} cannot be used" in done.stderr
    assert "Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_from_another_terminal_and_from_the_command_line(
    service: Service, finished_run: FinishedRun
) -> None:
    finished_run.copy_store(service.folder / ".qsm" / "store", without=["baseline", "report"])
    values = {**finished_run.parameters, "name": "watched"}
    given = [part for key, value in values.items() for part in ("--param", f"{key}={value}")]
    command = ["prefect", "deployment", "run", "complete-pipeline/embedded", *given, "--watch"]
    watched = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=service.folder,
        env=_environment(PREFECT_API_URL=service.api_url),
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert watched.returncode == 0, watched.stdout + watched.stderr + service.output
    results = service.folder / "results" / "watched"
    assert (results / "report.html").stat().st_size > 10_000
    assert (results / "eval_base" / "metrics.json").exists()

    before = len(service.flow_runs())
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in values.items()]
    again = subprocess.run(
        [sys.executable, "-m", "flows.complete_pipeline", *flags],
        cwd=service.folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    runs = service.flow_runs()
    assert len(runs) == before + 1, "the command line has not used the server of the service"
    assert {run["state_type"] for run in runs} == {"COMPLETED"}
    mine = max(runs, key=lambda run: run["created"])
    task_runs = service.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [mine["id"]]}}})
    assert {run["state_name"] for run in task_runs} == {"Cached"}


def test_what_a_killed_service_left_is_ended_by_the_next_one(started_again: Service) -> None:
    (run,) = started_again.flow_runs()
    assert run["state_type"] == "CRASHED"


# These end the services that the tests above share.
@pytest.mark.parametrize(
    ("which", "number"), [("service", signal.SIGINT), ("started_again", signal.SIGTERM)]
)
def test_the_end_leaves_nothing_behind(
    request: pytest.FixtureRequest, which: str, number: signal.Signals
) -> None:
    service: Service = request.getfixturevalue(which)
    store = service.folder / ".qsm" / "store"
    family = {psutil.Process(service.process.pid)}
    try:
        before = set(store.rglob("progress.json"))
        service.run_deployment(seed=8, workers=2)
        _wait_for(lambda: set(store.rglob("progress.json")) - before, "the first stage of the run")
        family |= service.family()
        assert len(family) > 5, "server, worker, flow run and Dask's processes were expected"
    finally:
        service.process.send_signal(number)
        service.process.wait(timeout=120)
    assert service.process.returncode == 0
    assert "stopped" in service.output
    assert [p for p in family if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert not (service.home / "server.json").exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", service.port)) != 0
    with sqlite3.connect(service.home / "prefect.db") as database:
        last_first = "select state_type from flow_run order by created desc"
        states = [state for (state,) in database.execute(last_first).fetchall()]
    assert states[0] == "CRASHED"  # Retry is offered, and it does not look alive
    assert set(states) <= {"CRASHED", "COMPLETED"}
    assert "stopped runs: 1" in service.output
