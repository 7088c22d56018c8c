"""The contents of a store: outputs, unfinished work, and what was moved aside."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qsm_core.errors import StoreError
from qsm_core.store.claim import is_claimed
from qsm_core.store.files import folder_bytes
from qsm_core.store.layout import Layout
from qsm_core.store.references import read_references

Kind = Literal["output", "work", "aside"]


@dataclass(frozen=True)
class Holding:
    """One folder of a store.

    Args:
        kind: A finished output, unfinished work, or an output that was moved aside.
        stage: Name of the stage.
        key: Its key.
        path: The folder.
        bytes: Size of everything in it.
        used_at: When it was last used or written to, in seconds since 1970.
        runs: Names of the runs that refer to its key.
        claimed: Whether a process is working on this key now.
    """

    kind: Kind
    stage: str
    key: str
    path: Path
    bytes: int
    used_at: float
    runs: tuple[str, ...]
    claimed: bool

    @property
    def idle_days(self) -> float:
        """Days since the last use."""
        return (time.time() - self.used_at) / 86_400


def take_inventory(layout: Layout) -> list[Holding]:
    """List every folder of a store, outputs first, by stage and last use."""
    runs = _runs_by_key(layout)
    found = [
        *_holdings(layout, layout.outputs, "output", runs),
        *_holdings(layout, layout.works, "work", runs),
        *_holdings(layout, layout.asides, "aside", runs),
    ]

    return sorted(found, key=_by_kind_and_use)


def _by_kind_and_use(holding: Holding) -> tuple[int, str, float, str]:
    order = ("output", "work", "aside")
    return order.index(holding.kind), holding.stage, -holding.used_at, holding.key


def find_key(layout: Layout, stage: str, prefix: str) -> str:
    """Return the only key of a stage's outputs that begins with `prefix`.

    Raises:
        StoreError: There is none, or more than one.
    """
    keys = sorted(path.name for path in (layout.outputs / stage).glob(f"{prefix}*"))
    return _only(keys, f"output of stage {stage}", prefix)


def find_wanted(layout: Layout, stage: str, prefix: str) -> Path:
    """Return the file of the only announced spec whose key begins with `prefix`.

    Raises:
        StoreError: There is none, or more than one.
    """
    folder = layout.wanted(stage, prefix).parent
    names = sorted(path.name for path in folder.glob(f"{prefix}*.json"))
    return folder / _only(names, f"wanted spec of stage {stage}", prefix)


def _only(names: list[str], what: str, prefix: str) -> str:
    if len(names) == 1:
        return names[0]
    if not names:
        raise StoreError(f"no {what} has a key that begins with {prefix!r}")
    raise StoreError(f"{prefix!r} is the beginning of {len(names)} keys: {', '.join(names)}")


def _runs_by_key(layout: Layout) -> dict[tuple[str, str], list[str]]:
    runs = defaultdict(list)
    for run, references in read_references(layout).items():
        for reference in references:
            runs[reference.stage, reference.key].append(run)
    return runs


def _holdings(
    layout: Layout, folder: Path, kind: Kind, runs: dict[tuple[str, str], list[str]]
) -> Iterator[Holding]:
    for path in folder.glob("*/*"):
        stage, key = path.parent.name, path.name.split(".")[0]
        yield Holding(
            kind=kind,
            stage=stage,
            key=key,
            path=path,
            bytes=folder_bytes(path),
            used_at=_last_change(path),
            runs=() if kind == "aside" else tuple(sorted(set(runs.get((stage, key), ())))),
            claimed=is_claimed(layout.work(stage, key)),
        )


def _last_change(folder: Path) -> float:
    """Return the latest modification time of a folder or of a file in it."""
    latest = folder.stat().st_mtime
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                latest = max(latest, Path(where, name).lstat().st_mtime)
            except FileNotFoundError:
                continue
    return latest
