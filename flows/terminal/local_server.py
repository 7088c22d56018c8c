"""A Prefect server on loopback, for as long as a command needs one.

A lab with a server of its own sets PREFECT_API_URL, and nothing is started here. Otherwise the
server of `make ui` is used if it runs, or one is started on a free port with the same database
and stopped at the end. Nothing calls home.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flows.terminal.processes import end_with_parent
from qsm_core.errors import ConfigurationError

_START_TIMEOUT_S = 180.0


def offline_environment(current: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that keep Prefect and the model libraries from calling out.

    And from importing torch's compiler, which would take every worker two seconds: nothing here is
    compiled. A value that the user has set stays.
    """
    quiet = {
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCHDYNAMO_DISABLE": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    }
    return {key: value for key, value in quiet.items() if key not in current}


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """Give the address of a Prefect API for the time of the block.

    Args:
        home: Folder of the database, used when PREFECT_API_URL is not set.

    Yields:
        The address of the API, which is also put into PREFECT_API_URL.

    Raises:
        ConfigurationError: The server did not start; names its log.
    """
    lasting = lasting_server(home)
    home = home.resolve()
    if lasting:
        if "PREFECT_API_URL" not in os.environ:
            os.environ.update(PREFECT_HOME=str(home), PREFECT_API_URL=lasting)
        yield lasting
        return
    home.mkdir(parents=True, exist_ok=True)
    os.environ["PREFECT_HOME"] = str(home)
    with started_server(home, free_port()) as url:
        os.environ["PREFECT_API_URL"] = url
        try:
            yield url
        finally:
            os.environ.pop("PREFECT_API_URL", None)


def lasting_server(home: Path) -> str | None:
    """Return the address of the API that is there without us: configured, or of `make ui`."""
    return os.environ.get("PREFECT_API_URL") or running_server(home.resolve())


def running_server(home: Path) -> str | None:
    """Return the address of the server that `make ui` runs on this database, if it answers."""
    note = home / "server.json"
    if not note.exists():
        return None
    url = str(json.loads(note.read_text())["api_url"])
    return url if _is_healthy(url) else None


@contextmanager
def started_server(home: Path, port: int) -> Iterator[str]:
    """Start a Prefect server on loopback and stop it at the end of the block."""
    url = f"http://127.0.0.1:{port}/api"
    log = home / f"server-{port}.log"
    environment = {
        **os.environ,
        **offline_environment(os.environ),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            preexec_fn=end_with_parent,
            start_new_session=True,  # Ctrl-C ends it last, when all that use it have ended
        )
    try:
        _wait_until_healthy(url, process, log)
        yield url
    finally:
        _stop(process)
        log.unlink(missing_ok=True)


def check_port(port: int) -> None:
    """Refuse a port of loopback that cannot be listened on.

    Raises:
        ConfigurationError: Somebody else listens there, or the system does not allow it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} cannot be used",
                [
                    f"127.0.0.1:{port}: {error.strerror}",
                    "stop what uses it, or take another: python -m deployments.service --port 4300",
                ],
            ) from error


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:  # noqa: S310 our URL
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        return False
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        healthy = _is_healthy(url)
        # Looked at afterwards: where another server has the port, that one answers.
        ended = process.poll() is not None
        if healthy and not ended:
            return
        if ended or time.monotonic() > deadline:
            kept = log.with_suffix(".failed.log")
            log.replace(kept)
            tail = kept.read_text(errors="replace").splitlines()[-5:]
            raise ConfigurationError(f"the Prefect server did not start; its log is {kept}", tail)
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
