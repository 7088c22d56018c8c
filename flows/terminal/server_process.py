"""A Prefect server in a process of its own on loopback: started at once, waited for when needed.

The command opens the socket and the server takes it over, so the port is ours from the start on,
and a request that comes too early waits for its answer.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.terminal.environment import offline_environment, unusable_proxies
from flows.terminal.first_start import WITHOUT_BLOCK_TYPES, is_prepared, mark_prepared, only_start
from qsm_core.errors import ConfigurationError

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 10.0
_SILENT_S = 5.0
# The environment may lead every request to a proxy; one to this machine must not go there.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_COMMAND = (sys.executable, "-m", "flows.terminal.server_program")
_PYTHON_ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt)(: .*)?")


class ServerProcess:
    """A Prefect server that was started, and may not answer yet."""

    def __init__(
        self,
        home: Path,
        port: int = 0,
        *,
        say: Callable[[str], None] = lambda _line: None,
        complete: bool = True,
    ) -> None:
        """Start a server.

        Args:
            home: Folder of its database.
            port: Of loopback, nobody else's; 0 takes a free one.
            say: Shows a line to the user, where the start takes long.
            complete: Whether a start brings everything up to date that it can; else only what
                another version of Prefect may have left.

        Raises:
            ConfigurationError: The port cannot be used.
        """
        self._home = home
        self._first_start = ExitStack()
        with listening_socket(port) as listener:
            self.port = int(listener.getsockname()[1])
            self.url = f"http://127.0.0.1:{self.port}/api"
            self.log = home / f"server-{self.port}.log"
            self._patience = threading.Timer(
                _SILENT_S, say, [f"starting the Prefect server ... (its log: {self.log})"]
            )
            self._patience.daemon = True
            self._patience.start()
            home.mkdir(parents=True, exist_ok=True)
            quick = not self._wait_for_other_first_start() and not complete
            with self.log.open("wb") as stream:
                self._process = subprocess.Popen(
                    [*_COMMAND, str(listener.fileno()), str(os.getpid())],
                    env=_environment(home, self.url, WITHOUT_BLOCK_TYPES if quick else {}),
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,  # Ctrl-C ends it last, when all that use it have ended
                )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Return when the server answers.

        Raises:
            ConfigurationError: It ended, or does not answer in three minutes; names its log.
        """
        ready = answers(self.url, timeout_s=_START_TIMEOUT_S)
        self._patience.cancel()
        if not ready or self._process.poll() is not None:
            kept = self.log.with_suffix(".failed.log")
            self.log.replace(kept)
            raise ConfigurationError(
                f"the Prefect server did not start; its log is {kept}",
                [reason_in_log(kept.read_text(errors="replace"))],
            )
        mark_prepared(self._home)
        self._first_start.close()

    def stop(self) -> None:
        """End the server; it first writes down what it was sent."""
        self._patience.cancel()
        self._first_start.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.log.unlink(missing_ok=True)

    def _wait_for_other_first_start(self) -> bool:
        """Say whether this is the first start; no other begins before its server answers."""
        if is_prepared(self._home):
            return False
        self._first_start.enter_context(only_start(self._home))
        if is_prepared(self._home):  # by the one that was waited for
            self._first_start.close()
            return False
        return True


@contextmanager
def started_server(home: Path, port: int = 0) -> Iterator[str]:
    """Give the address of a new Prefect server that answers, and stop it at the end of the block.

    Raises:
        ConfigurationError: It did not start; names its log.
    """
    server = ServerProcess(home, port)
    try:
        server.wait_until_ready()
        yield server.url
    finally:
        server.stop()


def answers(url: str, *, timeout_s: float = 2.0) -> bool:
    """Whether a Prefect API of this machine is there and healthy."""
    try:
        with _DIRECT.open(f"{url}/health", timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        return False
    except (OSError, ValueError):  # nobody there, somebody else, or no address
        return False


def reason_in_log(log: str) -> str:
    """Return the line of a log that says why a program ended: its last error, or its last words."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if _PYTHON_ERROR.fullmatch(line)]
    return (errors or lines or ["the log is empty"])[-1]


def listening_socket(port: int) -> socket.socket:
    """Open a port of loopback; 0 takes a free one.

    Raises:
        ConfigurationError: Somebody else listens there, or the system does not allow it.
    """
    try:
        return socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        raise ConfigurationError(
            f"port {port} cannot be used",
            [
                f"127.0.0.1:{port}: {error.strerror}",
                "stop what uses it, or give another one with --port",
            ],
        ) from error


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with listening_socket(0) as probe:
        return int(probe.getsockname()[1])


def _environment(home: Path, url: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server."""
    kept = {key: os.environ[key] for key in os.environ if key not in unusable_proxies(os.environ)}
    return {
        **kept,
        **offline_environment(os.environ),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,
        **more,
    }
