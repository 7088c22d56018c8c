"""The private folder of one set of jobs: certificates, secrets, the sign that the flow lives.

It lies on the shared file system, readable for its owner only, and is removed when the jobs have
ended. A job's script names it (scripts can be read by everybody) but holds nothing of it. The
job's comment names it too, by which the reaper finds out whose job it is.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from distributed.security import Security

logger = logging.getLogger(__name__)

# The flow's process touches its note this often; the reaper waits many times as long.
HEARTBEAT_S = 15.0


@dataclass(frozen=True)
class RunNote:
    """Which flow the jobs belong to, and when it was last seen alive.

    Args:
        flow_run_id: Of Prefect.
        host: Where the flow runs.
        pid: Its process.
        started: When the process began, in seconds since 1970: a pid is used again.
        api_url: Prefect server that the flow talks to.
        seen: When it was last seen, in seconds since 1970, by the clock of the file system.
    """

    flow_run_id: str
    host: str
    pid: int
    started: float
    api_url: str
    seen: float

    def is_gone(self, *, silent_s: float) -> bool:
        """Say whether the flow's process has ended, as far as that can be known from here.

        Args:
            silent_s: On another host: for how long it must have given no sign.
        """
        if self.host == socket.gethostname():
            try:
                created = float(psutil.Process(self.pid).create_time())
                return abs(created - self.started) > 1.0
            except psutil.NoSuchProcess:
                return True
        return time.time() - self.seen > silent_s


@dataclass(frozen=True)
class RunFolder:
    """The paths of one private folder."""

    path: Path

    @classmethod
    def make(cls, parent: Path, name: str, flow_run_id: str, api_url: str) -> RunFolder:
        """Make the folder for this process, mode 0700 whatever the umask says."""
        parent.mkdir(parents=True, exist_ok=True)
        folder = cls(Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent.resolve())))
        note = {
            "flow_run_id": flow_run_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "api_url": api_url,
        }
        folder._write("run.json", json.dumps(note))
        folder._write("probe", secrets.token_hex(16))
        return folder

    @property
    def environment(self) -> Path:
        """What the jobs have to know and nobody else may: shell lines."""
        return self.path / "environment"

    @property
    def probe(self) -> Path:
        """A file with random text, by which a worker shows that it sees the same folder."""
        return self.path / "probe"

    def write_environment(self, values: Mapping[str, str]) -> None:
        """Write the variables that every job reads before its worker starts."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items())]
        self._write("environment", "".join(lines))

    def make_security(self) -> Any:
        """Make a certificate for this set of jobs; who does not have it is not talked to."""
        security: Any = Security  # has no types
        made = security.temporary()
        files = {}
        for name in ("tls_ca_file", "tls_scheduler_cert", "tls_scheduler_key", "tls_worker_cert",
                     "tls_worker_key", "tls_client_cert", "tls_client_key"):  # fmt: skip
            files[name] = str(self._write(f"{name}.pem", getattr(made, name)))
        return security(require_encryption=True, **files)

    def heartbeat(self) -> None:
        """Show that the flow's process is alive."""
        try:
            os.utime(self.path / "run.json")
        except OSError as error:  # a file server that is away for a moment
            logger.warning("%s cannot be touched: %s", self.path, error)

    def remove(self) -> None:
        """Remove the folder with its secrets."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, name: str, text: str) -> Path:
        path = self.path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        return path


def read_note(folder: Path) -> RunNote | None:
    """Return the note of a private folder, None where there is none."""
    path = folder / "run.json"
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        return RunNote(**values, seen=path.stat().st_mtime)
    except (OSError, ValueError, TypeError):
        return None
