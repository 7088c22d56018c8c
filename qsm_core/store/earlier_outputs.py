"""The earlier outputs of a stage: they explain why the stage runs again, and how long it takes.

A thousand shards look here a thousand times while the store fills with their own outputs. So each
manifest is read only once, since a finished output does not change, and explanations consider
only the latest outputs.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from qsm_core.errors import StoreError
from qsm_core.store.layout import MANIFEST
from qsm_core.store.manifest import Manifest, read_manifest

logger = logging.getLogger(__name__)

_LATEST = 32


def earlier_manifests(folder: Path) -> Iterator[Manifest]:
    """Yield the readable manifests of all outputs below the folder of one stage, by key."""
    for output in sorted(folder.glob("*")):
        if (manifest := _read(output, _written_ns(output))) is not None:
            yield manifest


def latest_manifests(
    folder: Path, count: int = _LATEST, *, before_ns: int | None = None
) -> list[Manifest]:
    """Return the readable manifests among the `count` written last, the latest first.

    Args:
        folder: The outputs of one stage.
        count: How many outputs to consider.
        before_ns: Only those written before this time, in ns since the epoch; None: all.
    """
    written = [(_written_ns(output), output) for output in folder.glob("*")]
    latest = heapq.nlargest(
        count, [entry for entry in written if before_ns is None or entry[0] < before_ns]
    )
    return [manifest for at, output in latest if (manifest := _read(output, at)) is not None]


def _written_ns(output: Path) -> int:
    try:
        return (output / MANIFEST).stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0


@lru_cache(maxsize=1024)
def _read(output: Path, _written_ns: int) -> Manifest | None:
    # The time of writing is part of the cache key, since a forced output replaces an earlier one.
    try:
        return read_manifest(output)
    except StoreError as error:
        logger.debug("left out: %s", error)
        return None
