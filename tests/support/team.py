"""The service of a team for tests: PostgreSQL, a server with a password, a worker."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.terminal.loopback import free_port
from tests.support.postgres import Postgres

ROOT = Path(__file__).parents[2]
# What a user may have in the environment of a worker. None of it may be written anywhere.
SECRETS = {
    "HF_TOKEN": "hf_marker-of-a-secret-token",
    "OPENAI_API_KEY": "sk-marker-of-a-secret-key",
    "QSM_OPTIMIZER_API_KEY": "marker-of-a-secret-optimizer",
}


@dataclass(frozen=True)
class Team:
    """A running server and worker, made by the settings of `deployments.team_settings`."""

    folder: Path
    url: str
    login: str
    worker_environment: dict[str, str]
    worker_process: subprocess.Popen[bytes]
    postgres: Postgres

    def status(self, path: str, login: str | None = None) -> int:
        """Return the HTTP status of a path of the API."""
        try:
            with self._open(path, None, login) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                return error.code

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what the API answers to somebody who has the password."""
        if body is None:
            with self._open(path, None, self.login) as answer:
                return json.load(answer)
        with self._open(path, body, self.login, self._csrf()) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def command(self, *arguments: str, timeout_s: float = 1200) -> subprocess.CompletedProcess[str]:
        """Run a Python module in a terminal that has the worker's settings."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            env=self.worker_environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def _csrf(self) -> dict[str, str]:
        with self._open("csrf-token?client=tests", None, self.login) as answer:
            token = json.load(answer)["token"]
        return {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "tests"}

    def _open(self, path: str, body: Any, login: str | None, headers: Any = None) -> Any:
        headers = {"Content-Type": "application/json", **(headers or {})}
        if login is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/{path}", data=data, headers=headers)
        return urllib.request.urlopen(request, timeout=30)


def read_settings(path: Path) -> dict[str, str]:
    """Read an environment file as systemd does."""
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def wait_until(condition: Callable[[], Any], what: str, timeout_s: float = 240) -> Any:
    """Wait for a condition and return what it gave."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s:.0f} s"
        time.sleep(0.5)
    return found


def bare_environment() -> dict[str, str]:
    """Return the environment of this process without settings of Prefect and qsm."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PREFECT_", "QSM_")) or name == "QSM_NO_SKIPS"
    }


@contextmanager
def running(
    folder: Path, name: str, environment: dict[str, str], *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of Prefect as a unit of systemd would; its output goes to a log."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            umask=0o027,  # UMask of the unit
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)  # a worker of Prefect may hang for good
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def team(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Stand up the service of a team as docs/service.md says, in a folder of its own."""
    folder = tmp_path_factory.mktemp("team")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    words = ["deployments.team_settings", str(folder / "etc"), "--database", postgres.url]
    words += ["--public-url", url, "--port", str(port)]
    subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True, env=bare_environment())
    server = {
        **bare_environment(),
        **read_settings(folder / "etc" / "server.env"),
        "PREFECT_HOME": str(folder / "server"),
    }
    worker = {
        **bare_environment(),
        **read_settings(folder / "etc" / "worker.env"),
        **SECRETS,
        "PREFECT_HOME": str(folder / "worker"),
        "QSM_HOME": str(folder),
    }
    with running(folder, "server", server, "server", "start") as serving:

        def answers() -> bool:
            assert serving.poll() is None, (folder / "server.log").read_text()
            try:
                with urllib.request.urlopen(f"{url}/api/health", timeout=5) as answer:
                    return bool(answer.status == 200)
            except urllib.error.HTTPError as error:
                with error:  # it holds the connection
                    return error.code == 401
            except OSError:
                return False

        wait_until(answers, "the start of the server")
        done = subprocess.run(
            [sys.executable, "-m", "deployments.registration"],
            cwd=folder,
            env=worker,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        pool = ("worker", "start", "--pool", "qsm-local", "--type", "process")
        with running(folder, "worker", worker, *pool) as working:
            login = worker["PREFECT_API_AUTH_STRING"]
            yield Team(folder, url, login, worker, working, postgres)
