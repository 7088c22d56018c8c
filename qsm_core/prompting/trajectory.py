"""The trajectory of a search: everything that happened, one JSON line each, only ever appended.

Every line is forced to disk before the search goes on. A kill can leave half a line at the end; it
is cut off when the file is opened again, and what it would have said is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qsm_core.errors import DataError

Event = dict[str, Any]


class Trajectory:
    """The events of one search, in a file."""

    def __init__(self, path: Path) -> None:
        """Open a trajectory, new or interrupted.

        Raises:
            DataError: A line before the last one cannot be read.
        """
        self._path = path
        self._events = _read(path)

    def events(self, kind: str) -> Iterator[Event]:
        """Yield the events of one kind, in order."""
        return (event for event in self._events if event["event"] == kind)

    def append(self, kind: str, values: Mapping[str, Any]) -> None:
        """Add an event; it is on disk when this returns."""
        event = {"event": kind, **values}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n"
        with self._path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        # As it will be read back, so that an interrupted search sees the same numbers.
        self._events.append(json.loads(line))


def _read(path: Path) -> list[Event]:
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    events = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            events.append(json.loads(line))
        except ValueError as error:
            problem = f"{path}, line {number}: {error}; remove the work folder to start again"
            raise DataError("the trajectory of the search is damaged", [problem]) from error
    return events
