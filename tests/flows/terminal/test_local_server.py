from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from flows.terminal.local_server import (
    offline_environment,
    prefect_server,
    running_server,
    started_server,
)
from qsm_core.errors import ConfigurationError
from tests.support.prefect_home import MakeHome


def test_a_configured_server_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with prefect_server(tmp_path / "home") as url:
        assert url == "http://127.0.0.1:9/api"
    assert not (tmp_path / "home").exists()


def test_what_the_user_has_set_stays() -> None:
    assert "HF_HUB_OFFLINE" not in offline_environment({"HF_HUB_OFFLINE": "0"})
    assert offline_environment({})["DO_NOT_TRACK"] == "1"


@pytest.mark.server
@pytest.mark.slow
def test_a_server_is_started_on_loopback_and_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", "")  # so that it is put back after the test
    with prefect_server(tmp_path) as url:
        assert url.startswith("http://127.0.0.1:")
        assert os.environ["PREFECT_API_URL"] == url
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
    assert "PREFECT_API_URL" not in os.environ
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{url}/health")


@pytest.mark.server
@pytest.mark.slow
def test_the_server_does_not_outlive_a_killed_command(
    tmp_path: Path, prefect_home: MakeHome
) -> None:
    prefect_home(tmp_path)
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from flows.terminal.local_server import prefect_server\n"
        f"with prefect_server(Path({str(tmp_path)!r})):\n"
        "    print('up', flush=True)\n"
        "    time.sleep(600)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    command = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment
    )
    assert command.stdout is not None
    assert command.stdout.readline() == b"up\n"
    (server,) = psutil.Process(command.pid).children()
    os.kill(command.pid, signal.SIGKILL)
    command.wait()
    command.stdout.close()
    deadline = time.monotonic() + 30
    while server.is_running() and server.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the server outlived the command that started it"
        time.sleep(0.1)


def test_a_server_that_cannot_start_says_where_its_log_is(tmp_path: Path) -> None:
    (tmp_path / "prefect.db").write_text("this is no database")
    with (
        pytest.raises(ConfigurationError, match=r"did not start; its log is .*failed\.log"),
        started_server(tmp_path, 0),
    ):
        pytest.fail("the server started")


def test_no_server_is_running_where_none_was_started(tmp_path: Path) -> None:
    assert running_server(tmp_path) is None
