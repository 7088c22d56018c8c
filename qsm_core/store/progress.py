"""How far a stage is: told to the caller, and written where other processes can read it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from qsm_core.store.context import Report
from qsm_core.store.files import write_json
from qsm_core.store.provenance import utc_now

_EVERY_S = 0.5


@dataclass(frozen=True)
class Progress:
    """The last thing that a stage said about itself."""

    done: int
    total: int
    message: str
    at: str


class ProgressFile:
    """A `report` that passes calls on and writes some of them to a small file.

    Calls may come thousands of times a second; those that come too early are dropped, but the
    one that says it is complete never is.
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
        write_json(self._path, asdict(Progress(done, total, message, utc_now())))
        self._passed_on(done, total, message)


def read_progress(path: Path) -> Progress | None:
    """Return what a stage said last, or None while it has said nothing."""
    try:
        return Progress(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def silent(done: int, total: int, message: str) -> None:
    """Take a report and tell nobody."""
