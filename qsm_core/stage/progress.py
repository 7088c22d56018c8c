"""Progress of a stage: passed on to the caller, and written where other processes can read it."""

from __future__ import annotations

import time
from pathlib import Path

from qsm_core.stage.context import Report
from qsm_core.store.progress import Progress
from qsm_core.store.provenance import utc_now

_EVERY_S = 0.5


class ProgressFile:
    """A `report` that passes calls on and writes them to a small file, at a limited rate.

    Calls may come thousands of times a second; those that come too soon are dropped, but the
    one that reports completion never is.
    """

    def __init__(self, path: Path, passed_on: Report, *, every_s: float = _EVERY_S) -> None:
        self._path = path
        self._passed_on = passed_on
        self._every_s = every_s
        self._last = float("-inf")

    def __call__(self, done: int, total: int, message: str) -> None:
        """Report progress; see `StageContext.report`."""
        now = time.monotonic()
        if now - self._last < self._every_s and done < total:
            return
        self._last = now
        Progress(done, total, message, utc_now()).write(self._path)
        self._passed_on(done, total, message)


def ignore_progress(done: int, total: int, message: str) -> None:
    """Ignore a progress report."""
