"""The private folder of the jobs of a class: certificates, secrets, and a note of its flow.

It is on the shared file system, readable by its owner only, and is removed when the jobs have
ended. A job's script, which everybody can read, names the folder and contains nothing of it. The
job's comment names it too; by that, `orphans` finds out which flow a job belongs to.
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

# How often the flow touches its note; a flow is taken for dead after many times as long.
HEARTBEAT_S = 15.0


@dataclass(frozen=True)
class RunNote:
    """Which flow the jobs belong to, and when it last showed that it is alive.

    Args:
        flow_run_id: Of Prefect.
        host: Where the flow runs.
        pid: Its process.
        started: When the process began, in seconds since 1970, since a pid is used again.
        api_url: Of the flow's Prefect server.
        seen: When it last touched the note, in seconds since 1970, by the file system's clock.
    """

    flow_run_id: str
    host: str
    pid: int
    started: float
    api_url: str
    seen: float

    def is_gone(self, *, silent_s: float) -> bool:
        """Say whether the flow's process has ended, as far as this host can know.

        Args:
            silent_s: How long a process on another host must have been silent.
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
        """Shell lines that jobs read: settings with secrets."""
        return self.path / "environment"

    @property
    def probe(self) -> Path:
        """A file with random text, by which a worker proves that it sees the same folder."""
        return self.path / "probe"

    def write_environment(self, values: Mapping[str, str]) -> None:
        """Write the variables that each job sets before its worker starts."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items())]
        self._write("environment", "".join(lines))

    def make_security(self) -> Any:
        """Make the certificates that scheduler, workers and client require of each other.

        dask-jobqueue would write those of the workers itself, but it keeps the files open: on NFS,
        another node may find them empty.
        """
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
