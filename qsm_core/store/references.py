"""Which outputs a run refers to, so that `prune` can leave them alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import StoreError
from qsm_core.store.files import write_json
from qsm_core.store.layout import Layout
from qsm_core.store.provenance import utc_now, who


@dataclass(frozen=True)
class Reference:
    """One output, under the name that a run gives it."""

    name: str
    stage: str
    key: str


def write_references(layout: Layout, run: str, references: Iterable[Reference]) -> Path:
    """Record what a run refers to, replacing its earlier record.

    Args:
        layout: The store.
        run: Name of the run.
        references: Its outputs.
    """
    path = _record_path(layout, run)
    stages = {item.name: {"stage": item.stage, "key": item.key} for item in references}
    write_json(path, {"run": run, "at": utc_now(), "who": who(), "stages": stages})
    return path


def read_references(layout: Layout) -> Mapping[str, tuple[Reference, ...]]:
    """Return what every run refers to, by the name of the run.

    Raises:
        StoreError: A record cannot be read. It is not skipped, since its outputs could be lost.
    """
    return dict(_read(path) for path in sorted(layout.runs.glob("*.json")))


def references_of(layout: Layout, run: str) -> tuple[Reference, ...]:
    """Return what one run refers to; nothing if it has no record.

    Raises:
        StoreError: Its record cannot be read.
    """
    path = _record_path(layout, run)
    return _read(path)[1] if path.exists() else ()


def _read(path: Path) -> tuple[str, tuple[Reference, ...]]:
    try:
        values = json.loads(path.read_text())
        return values["run"], tuple(
            Reference(name, place["stage"], place["key"])
            for name, place in values["stages"].items()
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path}: cannot be read ({error}); remove it if its run is no longer needed"
        ) from error


def _record_path(layout: Layout, run: str) -> Path:
    return layout.runs / f"{re.sub(r'[^A-Za-z0-9._-]', '_', run) or 'run'}.json"
