"""The log of a run in a file of its name: what Prefect's log says of its stages."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

logger = logging.getLogger(__name__)


def append_log(store: Path, name: str, text: str) -> None:
    """Append a line to `logs/<name>.log` of the store, with the time in UTC.

    A file that cannot be written costs its line, never the run.

    Args:
        store: Root of the store.
        name: Of the run.
        text: One event of it.
    """
    path = store / "logs" / f"{name}.log"
    line = f"{datetime.now(UTC).isoformat(timespec='seconds')} {' '.join(text.split())}\n"
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(line)
    except OSError as error:
        logger.warning("%s was not written: %s", path, error)
