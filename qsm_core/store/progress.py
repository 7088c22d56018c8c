"""The progress of a stage, as a small file in its work folder that other processes can read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from qsm_core.store.files import write_json


@dataclass(frozen=True)
class Progress:
    """The last progress that a stage reported."""

    done: int
    total: int
    message: str
    at: str

    def write(self, path: Path) -> None:
        """Write it in one step: a reader sees the old file or the whole new one."""
        write_json(path, asdict(self))


def read_progress(path: Path) -> Progress | None:
    """Return what a stage reported last, or None while it has reported nothing."""
    try:
        return Progress(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
