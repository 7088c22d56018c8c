"""The attempts at one output: when and where each began, and how it ended.

A walltime, a preemption or a kill ends an attempt, and the next attempt continues from what it
kept. The list is stored in the work folder and ends up in the provenance of the output.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from qsm_core.store.files import write_json
from qsm_core.store.provenance import utc_now

Ending = Literal["finished", "interrupted", "failed", "killed"]


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Args:
        started_at: In UTC.
        host: Where it ran.
        slurm_job_id: The SLURM job it ran in, if any.
        ended_at: In UTC; for a killed attempt, the time of its last progress report.
        ended: How it ended; None while it runs.
        reason: Why it ended before the output was finished.
    """

    started_at: str
    host: str
    slurm_job_id: str | None
    ended_at: str | None = None
    ended: Ending | None = None
    reason: str | None = None

    @property
    def seconds(self) -> float:
        """How long it took; 0 where that is unknown."""
        if self.ended_at is None:
            return 0.0
        began, ended = (datetime.fromisoformat(at) for at in (self.started_at, self.ended_at))
        return max(0.0, (ended - began).total_seconds())

    def to_json(self) -> dict[str, Any]:
        """Return the attempt as JSON values."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}


class Attempts:
    """The attempts at one output, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._all = _read(path)

    def begin(self, *, last_sign: str | None) -> None:
        """Record that an attempt begins here; an earlier one that never ended was killed.

        Args:
            last_sign: When the previous attempt last reported progress.
        """
        self._close("killed", last_sign, "it was killed")
        job = os.environ.get("SLURM_JOB_ID")
        self._all.append(Attempt(utc_now(), socket.gethostname(), job))
        self._write()

    def end(self, ended: Ending, reason: str | None = None) -> None:
        """Record how the attempt ended."""
        self._close(ended, utc_now(), reason)
        self._write()

    def finish(self) -> dict[str, Any]:
        """End the last attempt as finished and return a summary of all attempts.

        Nothing is written: the attempt may still fail while its output is committed.

        Returns:
            The attempts, how many were cut short, and their total seconds.
        """
        self._close("finished", utc_now(), None)
        ends = [attempt.ended for attempt in self._all]
        return {
            "attempts": [attempt.to_json() for attempt in self._all],
            "interruptions": ends.count("interrupted") + ends.count("killed"),
            "all_seconds": round(sum(attempt.seconds for attempt in self._all), 3),
        }

    def _close(self, ended: Ending, at: str | None, reason: str | None) -> None:
        if self._all and self._all[-1].ended is None:
            self._all[-1] = replace(self._all[-1], ended=ended, ended_at=at, reason=reason)

    def _write(self) -> None:
        write_json(self._path, [asdict(attempt) for attempt in self._all])


def _read(path: Path) -> list[Attempt]:
    try:
        return [Attempt(**values) for values in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
