"""How, where and by whom an output was made. None of this is part of the key."""

from __future__ import annotations

import getpass
import hashlib
import os
import platform
import socket
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import qsm_core
from qsm_core.store.spec import StageSpec, library_versions

_GIT_TIMEOUT_S = 20.0
# Kept in the provenance for every stage, whatever it declares.
_NOTED_LIBRARIES = ("numpy", "pandas", "torch", "transformers", "peft", "bitsandbytes")


class Stopwatch:
    """Records when the work began, and how long it took."""

    def __init__(self) -> None:
        self._started_at = utc_now()
        self._started = time.monotonic()

    def reading(self) -> dict[str, Any]:
        """Return start, end and seconds."""
        return {
            "started_at": self._started_at,
            "finished_at": utc_now(),
            "seconds": round(time.monotonic() - self._started, 3),
        }


def collect_provenance(
    spec: StageSpec,
    stopwatch: Stopwatch,
    usage: Mapping[str, Any],
    attempts: Mapping[str, Any],
    *,
    resumed: bool,
) -> dict[str, Any]:
    """Return the provenance of an output that was just made.

    Args:
        spec: What was made.
        stopwatch: Started when the work began.
        usage: CPU time and memory that the stage used.
        attempts: The attempts that it took, as returned by `Attempts.finish`.
        resumed: Whether the work continued an earlier, unfinished attempt.
    """
    noted = tuple(sorted({*_NOTED_LIBRARIES, *spec.libraries}))
    return {
        **stopwatch.reading(),
        **usage,
        "resumed": resumed,
        **attempts,
        "who": who(),
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "libraries": library_versions(noted),
        "git": _own_git_state(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
        "slurm_partition": os.environ.get("SLURM_JOB_PARTITION"),
    }


def utc_now() -> str:
    """Return the present moment in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def who() -> str:
    """Return the name of the user, or the user id if the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@cache
def _own_git_state() -> dict[str, str] | None:
    """Return the state of the checkout, read once: about when this process loaded its code."""
    return git_state(Path(qsm_core.__file__).parent)


def git_state(folder: Path) -> dict[str, str] | None:
    """Return the commit and a digest of the uncommitted changes, or None outside a checkout.

    A clean checkout has "changes": "none".
    """
    # An installed package may be inside the checkout of another project.
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
