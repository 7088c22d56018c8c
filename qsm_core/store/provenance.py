"""How, where and by whom an output was made. Nothing of it is part of the key."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import resource
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import qsm_core
from qsm_core.store.spec import StageSpec, library_versions

_GIT_TIMEOUT_S = 20.0
# Kept in the provenance for every stage, whatever it declares.
_NOTED_LIBRARIES = ("numpy", "pandas", "torch", "transformers", "peft", "bitsandbytes")


class Stopwatch:
    """Notes when the work began, and what it took."""

    def __init__(self) -> None:
        self._started_at = utc_now()
        self._started = time.monotonic()
        self._cpu = time.process_time()

    def reading(self) -> dict[str, Any]:
        """Return begin, end, seconds, seconds of CPU and the peak memory of the process."""
        return {
            "started_at": self._started_at,
            "finished_at": utc_now(),
            "seconds": round(time.monotonic() - self._started, 3),
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
            "peak_memory_mib": round(_peak_memory_mib(), 1),
        }


def collect_provenance(spec: StageSpec, stopwatch: Stopwatch, *, resumed: bool) -> dict[str, Any]:
    """Return the provenance of an output that was just made.

    Args:
        spec: What was made.
        stopwatch: Started when the work began.
        resumed: Whether the work went on from an earlier, unfinished attempt.
    """
    noted = tuple(sorted({*_NOTED_LIBRARIES, *spec.libraries}))
    return {
        **stopwatch.reading(),
        "resumed": resumed,
        "who": who(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "device": device_name(),
        "libraries": library_versions(noted),
        "git": git_state(Path(qsm_core.__file__).parent),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
    }


def utc_now() -> str:
    """Return the present moment in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def who() -> str:
    """Return the name of the user, or the number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def device_name() -> str:
    """Return the GPU that this process uses, else the kind of CPU. Loads nothing."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return str(torch.cuda.get_device_name())
    return f"{platform.machine()} CPU, {os.cpu_count()} cores"


def git_state(folder: Path) -> dict[str, str] | None:
    """Return commit and a digest of the uncommitted changes, or None outside a checkout.

    A clean checkout has "changes": "none".
    """
    # An installed package may lie inside the checkout of something else.
    if not _git(folder, "ls-files", "--", "__init__.py"):
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "diff", "HEAD", "--", ".")
    others = _git(folder, "ls-files", "--others", "--exclude-standard", "--", ".")
    if commit is None or changes is None or others is None:
        return None
    text = (changes + others).strip()
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return {"commit": commit.strip(), "changes": digest if text else "none"}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


@lru_cache(maxsize=1)
def _memory_unit_bytes() -> int:
    """Linux counts KiB, macOS bytes."""
    return 1 if sys.platform == "darwin" else 1024


def _peak_memory_mib() -> float:
    peak = max(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    )
    return peak * _memory_unit_bytes() / 2**20
