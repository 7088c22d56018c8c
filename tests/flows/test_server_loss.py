"""A Prefect server that is killed, at whatever moment of a run, never costs a result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.terminal.server_process import loopback_server
from tests.support.pipeline import ROOT, worker_processes
from tests.support.prefect_home import MakeHome

pytestmark = [pytest.mark.server, pytest.mark.slow]

# By what a run has printed when its server is killed.
MOMENTS = {
    "while the plan is shown": "Plan",
    "while a stage runs": "throws running",
    "before the results are published": "report finished",
}
_GONE = "does not answer"


def _kill_server(url: str) -> None:
    port = int(url.split(":")[2].partition("/")[0])
    (server,) = {
        one.pid
        for one in psutil.net_connections("tcp")
        if one.laddr and one.laddr.port == port and one.status == psutil.CONN_LISTEN
    }
    os.kill(server, signal.SIGKILL)


def _run_and_kill_server(
    folder: Path, home: Path, moment: str, *, workers_too: bool = False
) -> tuple[int, str, str, float]:
    """Run the toy flow, kill its server at a moment, and return how it ended.

    Args:
        folder: Of store and results.
        home: Of the server.
        moment: Text of the line after which it is killed.
        workers_too: Whether the workers of the run are killed as well.

    Returns:
        Exit code, standard output, standard error, and seconds from the kill to the end.
    """
    flags = ["--throws=60", "--workers=1", "--seconds=0.2"]
    places = [f"--store={folder / 'store'}", f"--results={folder / 'results'}"]
    command = [sys.executable, "-u", "-m", "tests.support.dice.flow", *flags, *places]
    said, killed_at = "", 0.0
    with loopback_server(home) as url, (folder / "stdout.txt").open("w") as output:
        environment = {**os.environ, "PREFECT_API_URL": url, "PREFECT_HOME": str(home)}
        with subprocess.Popen(
            command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                said += line
                if moment in line and not killed_at:
                    _kill_server(url)
                    killed_at = time.monotonic()
                    for worker in worker_processes(psutil.Process(process.pid)):
                        if workers_too:
                            os.kill(worker, signal.SIGKILL)
        assert killed_at, said
    seconds = time.monotonic() - killed_at
    return process.returncode, (folder / "stdout.txt").read_text(), said, seconds


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_run_ends_with_its_results_and_one_warning(
    tmp_path: Path, prefect_home: MakeHome, moment: str
) -> None:
    home = prefect_home(tmp_path / "prefect")
    code, printed, said, seconds = _run_and_kill_server(tmp_path, home, moment)
    assert code == 0, said
    assert "60 throws show" in printed
    results = tmp_path / "results" / "dice-seed42"
    assert "60 throws show" in (results / "report.html").read_text()
    assert (results / "throws" / "block5.json").is_file()
    assert said.count(_GONE) == 1
    assert "Traceback" not in said + printed
    assert "httpx" not in said + printed
    assert seconds < 150  # five minutes it was once


def test_a_failed_run_says_why_although_its_server_is_gone(
    tmp_path: Path, prefect_home: MakeHome
) -> None:
    home = prefect_home(tmp_path / "prefect")
    code, _, said, _ = _run_and_kill_server(tmp_path, home, "throws running", workers_too=True)
    assert code == 2
    assert said.count(_GONE) == 1
    assert "its worker was killed" in said
    assert "Traceback" not in said
