"""A Prefect server in a process of its own on loopback: started at once, waited for when needed.

The command opens the socket and the server takes it over, so the port is ours from the start on,
and a request that comes too early waits for its answer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.terminal.environment import offline_environment, unusable_proxies
from flows.terminal.loopback import answers, loopback_socket
from flows.terminal.server_upkeep import (
    WITHOUT_UPKEEP,
    first_start_lock,
    is_first_start,
    note_upkeep,
    upkeep_is_due,
)
from flows.terminal.working_folder import full_disk_reason
from qsm_core.errors import ConfigurationError

_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 10.0
_END_IS_SEEN_S = 1.0  # its socket closes a moment before it has ended
_SILENT_S = 5.0
_COMMAND = (sys.executable, "-m", "flows.terminal.server_program")
# What looks after deployments and workers: the run of a command has neither.
_FOR_ONE_RUN = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
}
_PYTHON_ERROR = re.compile(r"[\w.]*(Error|Exception|Interrupt)(: .*)?")


class ServerProcess:
    """A Prefect server that was started, and may not answer yet."""

    def __init__(
        self,
        home: Path,
        port: int = 0,
        *,
        say: Callable[[str], None] = lambda _line: None,
        for_one_run: bool = False,
    ) -> None:
        """Start a server.

        Args:
            home: Folder of its database.
            port: Of loopback, nobody else's; 0 takes a free one.
            say: Shows a line to the user, where the start takes long.
            for_one_run: Whether it only records the run of one command: it then schedules no
                deployments, and keeps the database in order only where that is due.

        Raises:
            ConfigurationError: The port cannot be used.
        """
        self._home = home
        self._first_start = ExitStack()
        with loopback_socket(port) as listener:
            self.port = int(listener.getsockname()[1])
            self.url = f"http://127.0.0.1:{self.port}/api"
            self.log = home / f"server-{self.port}.log"
            self._patience = threading.Timer(
                _SILENT_S, say, [f"starting the Prefect server ... (its log: {self.log})"]
            )
            self._patience.daemon = True
            self._patience.start()
            home.mkdir(parents=True, exist_ok=True)
            first = self._begin_first_start()
            self._does_upkeep = first or not for_one_run or upkeep_is_due(home)
            settings = {
                **(_FOR_ONE_RUN if for_one_run else {}),
                **({} if self._does_upkeep else WITHOUT_UPKEEP),
            }
            with self.log.open("wb") as stream:
                self._process = subprocess.Popen(
                    [*_COMMAND, str(listener.fileno()), str(os.getpid())],
                    env=_environment(home, self.url, settings),
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
        if not ready:
            kept = self.log.with_suffix(".failed.log")
            self.log.replace(kept)
            reason = full_disk_reason(self._home) or self._why_not_ready(kept)
            raise ConfigurationError(
                f"the Prefect server did not start; its log is {kept}", [reason]
            )
        if self._does_upkeep:
            note_upkeep(self._home)
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

    def _why_not_ready(self, log: Path) -> str:
        try:
            self._process.wait(_END_IS_SEEN_S)
        except subprocess.TimeoutExpired:
            return f"it has not answered in {_START_TIMEOUT_S:.0f} s"
        return reason_in_log(log.read_text(errors="replace"))

    def _begin_first_start(self) -> bool:
        """Say whether this is the first start; then no other begins before the server answers."""
        if not is_first_start(self._home):
            return False
        self._first_start.enter_context(first_start_lock(self._home))
        if is_first_start(self._home):
            return True
        self._first_start.close()  # it was that of the other that was waited for
        return False


@contextmanager
def loopback_server(home: Path, port: int = 0) -> Iterator[str]:
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


def reason_in_log(log: str) -> str:
    """Return the line of a log that says why a program ended: its last error, or its last words."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if _PYTHON_ERROR.fullmatch(line)]
    return (errors or lines or ["the log is empty"])[-1]


def _environment(home: Path, url: str, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server; of `more`, what the user has not set."""
    kept = {key: os.environ[key] for key in os.environ if key not in unusable_proxies(os.environ)}
    return {
        **more,
        **kept,
        **offline_environment(os.environ),
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_UI_API_URL": url,
    }
