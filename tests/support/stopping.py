"""What a Dask worker does in the tests of its end; workers import it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tasks.workers.shutdown import stop_requests


def work_until_stopped(started: str, limit_s: float = 60.0) -> str | None:
    """Write the process's number to `started`, work until somebody asks to stop, say why."""
    with stop_requests() as stop:
        Path(started).write_text(str(os.getpid()))
        end = time.monotonic() + limit_s
        while stop() is None and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.5)  # what a stage needs to bring its work to the disk
        return stop()
