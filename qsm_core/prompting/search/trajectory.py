"""The trajectory of a search: everything that happened, one JSON line each, only ever appended.

Every line is forced to disk before the search continues. A search that was killed is replayed from
its start: events that the trajectory already has are only compared with what happens now (the clips
have been scored, and their predictions are stored with it), and further events are appended. A kill
can leave half a line; it is cut off when the file is opened again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qsm_core.errors import DataError
from qsm_core.stage.journal import append_line, read_lines

Event = dict[str, Any]


class Trajectory:
    """The events of one search, in a file."""

    def __init__(self, path: Path) -> None:
        """Open a trajectory, new or interrupted.

        Raises:
            DataError: A line before the last one cannot be read.
        """
        self._path = path
        self._events: list[Event] = read_lines(path, "the trajectory of the search")
        self._place = 0  # how many events have happened in this process

    def events(self, kind: str) -> Iterator[Event]:
        """Yield the events of one kind, in order."""
        return (event for event in self._events if event["event"] == kind)

    def upcoming(self, kind: str) -> Event | None:
        """Return the next recorded event if it is of this kind, else None."""
        known = self._events[self._place] if self._place < len(self._events) else None
        return known if known is not None and known["event"] == kind else None

    def record(self, kind: str, values: Mapping[str, Any]) -> Event:
        """Append an event, which is on disk when this returns, or find it already recorded.

        Raises:
            DataError: The trajectory has another event there.
        """
        line = json.dumps({"event": kind, **values}, ensure_ascii=False, allow_nan=False) + "\n"
        event: Event = json.loads(line)
        if self._place < len(self._events):
            self._compare(self._events[self._place], event)
        else:
            append_line(self._path, line.encode())
            self._events.append(event)
        self._place += 1
        return self._events[self._place - 1]

    def _compare(self, known: Event, event: Event) -> None:
        if not _same(known, event):
            problem = (
                f"{self._path}, line {self._place + 1}: there {known}, now {event}; it is that of "
                "a search with other settings, code or numbers; remove the work folder to start "
                "again"
            )
            raise DataError("the search cannot go on", [problem])


def _same(known: Any, now: Any) -> bool:
    """Return whether two JSON values are equal, up to the rounding of another machine."""
    if isinstance(known, dict) and isinstance(now, dict):
        return known.keys() == now.keys() and all(_same(known[k], now[k]) for k in known)
    if isinstance(known, list) and isinstance(now, list):
        return len(known) == len(now) and all(map(_same, known, now))
    if isinstance(known, float) and isinstance(now, float):
        return math.isclose(known, now, rel_tol=1e-6, abs_tol=1e-9)
    return bool(known == now)
