"""Servers in real processes: their start, the first one in a folder, their failure, their end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from flows.terminal import server_process
from flows.terminal.loopback import answers, free_port, loopback_socket
from flows.terminal.server_process import ServerProcess, loopback_server, reason_in_log
from flows.terminal.server_upkeep import (
    first_start_lock,
    is_first_start,
    note_upkeep,
    upkeep_is_due,
)
from qsm_core.errors import ConfigurationError
from tests.support.prefect_home import MakeHome

_START = """
import sys, time
from pathlib import Path
from flows.terminal.server_process import loopback_server
with loopback_server(Path(sys.argv[1])) as url:
    print(url, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def _start(home: Path, seconds: float) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    return subprocess.Popen(
        [sys.executable, "-c", _START, str(home), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.server
@pytest.mark.slow
def test_two_first_starts_at_once_both_succeed(tmp_path: Path) -> None:
    """They make the same tables; each would fail on the other's half-made ones."""
    both = [_start(tmp_path, 0) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert out.startswith("http://127.0.0.1:")
    assert not is_first_start(tmp_path, {})


def test_a_start_is_the_first_of_this_version_and_with_this_database(tmp_path: Path) -> None:
    note_upkeep(tmp_path)
    assert is_first_start(tmp_path, {})  # somebody has removed the database
    (tmp_path / "prefect.db").touch()
    assert not is_first_start(tmp_path, {})
    elsewhere = {"PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://lab"}
    assert is_first_start(tmp_path, elsewhere)


def test_upkeep_is_due_once_a_day(tmp_path: Path) -> None:
    assert upkeep_is_due(tmp_path)
    note_upkeep(tmp_path)
    assert not upkeep_is_due(tmp_path)
    (mark,) = tmp_path.iterdir()
    yesterday = time.time() - 25 * 3600
    os.utime(mark, (yesterday, yesterday))
    assert upkeep_is_due(tmp_path)
    note_upkeep(tmp_path)
    assert not upkeep_is_due(tmp_path)


def test_first_starts_wait_for_one_another(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with first_start_lock(tmp_path):
            order.append("second")

    with first_start_lock(tmp_path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


@pytest.mark.server
@pytest.mark.slow
def test_a_server_is_reached_past_every_proxy(
    tmp_path: Path, prefect_home: MakeHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):  # as clusters do; nobody listens there
        monkeypatch.setenv(name, "socks5://127.0.0.1:9" if name == "ALL_PROXY" else "127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    with loopback_server(prefect_home(tmp_path)) as url:
        assert answers(url)
    assert time.monotonic() - began < 100, "the server was asked through the proxy"


@pytest.mark.server
@pytest.mark.slow
def test_the_server_does_not_outlive_a_killed_command(
    tmp_path: Path, prefect_home: MakeHome
) -> None:
    command = _start(prefect_home(tmp_path), 600)
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline().startswith("http://")
    (server,) = psutil.Process(command.pid).children()
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    command.stdout.close()
    command.stderr.close()
    deadline = time.monotonic() + 30
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlived the command that started it"
        time.sleep(0.1)


@pytest.mark.server
@pytest.mark.slow
def test_a_connection_that_stays_open_does_not_hold_up_the_end(
    tmp_path: Path, prefect_home: MakeHome
) -> None:
    server = ServerProcess(prefect_home(tmp_path))
    with socket.socket() as client:
        try:
            server.wait_until_ready()
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"POST /api/flows/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")
            time.sleep(0.5)
        finally:
            began = time.monotonic()
            server.stop()
        assert time.monotonic() - began < server_process._STOP_TIMEOUT_S


def test_a_server_that_cannot_start_says_why_and_where_its_log_is(tmp_path: Path) -> None:
    (tmp_path / "prefect.db").write_text("this is no database")
    began = time.monotonic()
    with (
        pytest.raises(
            ConfigurationError, match=r"(?s)log is .*failed\.log.*file is not a database"
        ),
        loopback_server(tmp_path),
    ):
        pytest.fail("the server started")
    assert time.monotonic() - began < server_process._START_TIMEOUT_S / 2


def test_a_long_start_is_mentioned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "_SILENT_S", 0.1)
    (tmp_path / "prefect.db").write_text("this is no database")
    said: list[str] = []
    server = ServerProcess(tmp_path, say=said.append)
    try:
        with pytest.raises(ConfigurationError):
            server.wait_until_ready()
    finally:
        server.stop()
    assert said == [f"starting the Prefect server ... (its log: {server.log})"]


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    with loopback_socket(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} cannot be used"):
            ServerProcess(tmp_path, port)
    with loopback_socket(port):
        pass  # it can be used again at once


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("", "the log is empty"),
        ("INFO: one\n\n", "INFO: one"),
        (
            "Traceback\nsqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) malformed\n"
            "[SQL: SELECT 1]\n\nERROR:    Application startup failed. Exiting.\n",
            "sqlalchemy.exc.DatabaseError: (sqlite3.DatabaseError) malformed",
        ),
        ("ModuleNotFoundError: No module named 'x'", "ModuleNotFoundError: No module named 'x'"),
    ],
)
def test_the_reason_is_the_last_error_of_a_log(log: str, reason: str) -> None:
    assert reason_in_log(log) == reason


def test_nobody_answers_where_no_server_is() -> None:
    assert not answers(f"http://127.0.0.1:{free_port()}/api")
    assert not answers("no address")


def test_what_answers_with_something_else_is_no_server(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().split(b"port ")[1].split()[0].decode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/"):
            pass
        assert not answers(f"http://127.0.0.1:{port}/api")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_a_server_that_hangs_is_not_waited_for_any_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "_START_TIMEOUT_S", 0.5)
    monkeypatch.setattr(
        server_process, "_COMMAND", (sys.executable, "-c", "import time; time.sleep(600)")
    )
    with (
        pytest.raises(ConfigurationError, match="it has not answered in 0 s"),
        loopback_server(tmp_path),
    ):
        pytest.fail("nothing has answered")
