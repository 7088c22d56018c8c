"""Append-only files of JSON lines that survive a kill.

Every line is forced to disk before its writer continues. A kill can leave half a line at the end,
which is cut off when the file is next read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from qsm_core.errors import DataError


def append_line(path: Path, line: bytes) -> None:
    """Append one whole line, newline included; it is on disk when this returns."""
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_lines(path: Path, what: str) -> list[dict[str, Any]]:
    """Return the events of a file, none if it does not exist; cut off an incomplete last line.

    Args:
        path: The file.
        what: What the file is, for the title of an error.

    Raises:
        DataError: A line before the last one cannot be read.
    """
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
            raise DataError(f"{what} is damaged", [problem]) from error
    return events
