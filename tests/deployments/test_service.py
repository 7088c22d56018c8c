"""`make ui` for real: server, deployments, worker, a run from another terminal, and the end."""

from __future__ import annotations

import json
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

from flows.local_server import free_port
from tests.support.pipeline import TINY

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.server, pytest.mark.slow]


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
        request = urllib.request.Request(
            f"{self.api_url}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def flow_runs(self) -> list[dict[str, Any]]:
        return list(self.ask("flow_runs/filter", {}))


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
    running = _start(tmp_path_factory.mktemp("service"), free_port())
    try:
        _wait_until_ready(running)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=120)


def _run_deployment(service: Service, **parameters: object) -> list[str]:
    values = {**TINY, "seed": 7, "name": "watched", **parameters}
    flags = [part for key, value in values.items() for part in ("--param", f"{key}={value}")]
    return [
        *(sys.executable, "-m", "prefect", "deployment", "run", "complete-pipeline/embedded"),
        *flags,
    ]


def test_address_is_printed_and_deployments_are_there(service: Service) -> None:
    assert f"Prefect UI: http://127.0.0.1:{service.port}\n" in service.output
    names = {one["name"] for one in service.ask("deployments/filter", {})}
    assert names >= {"embedded", "qwen2-audio-7b", "parity-check"}
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/", timeout=30) as page:
        assert b"<html" in page.read()


def test_listens_on_loopback_only(service: Service) -> None:
    processes = [
        service.process.pid,
        *(p.pid for p in psutil.Process(service.process.pid).children(True)),
    ]
    addresses = {
        connection.laddr.ip
        for pid in processes
        for connection in psutil.Process(pid).net_connections("inet")
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


def test_run_from_another_terminal_and_from_the_command_line(service: Service) -> None:
    watched = subprocess.run(
        [*_run_deployment(service), "--watch"],
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
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in TINY.items()]
    again = subprocess.run(
        [sys.executable, "-m", "flows.complete_pipeline", *flags, "--seed=7", "--name=watched"],
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_end_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    service = _start(tmp_path, free_port())
    family: set[psutil.Process] = {psutil.Process(service.process.pid)}
    try:
        _wait_until_ready(service)
        subprocess.run(
            _run_deployment(service),
            cwd=tmp_path,
            env=_environment(PREFECT_API_URL=service.api_url),
            capture_output=True,
            check=True,
            timeout=120,
        )
        work = tmp_path / ".qsm" / "store"
        _wait_for(lambda: any(work.rglob("progress.json")), "the first stage of the run")
        family |= set(psutil.Process(service.process.pid).children(recursive=True))
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
        states = database.execute("select state_type from flow_run").fetchall()
    assert states == [("CRASHED",)]  # Retry is offered, and it does not look alive
    assert "stopped runs: 1" in service.output


def test_what_a_killed_service_left_is_ended_by_the_next_one(tmp_path: Path) -> None:
    killed = _start(tmp_path, free_port())
    _wait_until_ready(killed)
    subprocess.run(
        _run_deployment(killed),
        cwd=tmp_path,
        env=_environment(PREFECT_API_URL=killed.api_url),
        capture_output=True,
        check=True,
        timeout=120,
    )
    _wait_for(lambda: killed.flow_runs()[0]["state_type"] == "RUNNING", "the start of the run")
    family = psutil.Process(killed.process.pid).children(recursive=True)
    killed.process.kill()
    killed.process.wait()
    _, alive = psutil.wait_procs(family, timeout=90)
    assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []

    following = _start(tmp_path, free_port())
    try:
        _wait_until_ready(following)
        (run,) = following.flow_runs()
        assert run["state_type"] == "CRASHED"
    finally:
        following.process.terminate()
        following.process.wait(timeout=120)
