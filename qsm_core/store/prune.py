"""Free space in a store: choose what is no longer needed, then remove it.

What a run refers to is kept, unless its removal is requested explicitly; what a process is working
on is always kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from qsm_core.errors import StoreError
from qsm_core.store.claim import is_claimed
from qsm_core.store.files import move
from qsm_core.store.inventory import Holding
from qsm_core.store.layout import Layout


@dataclass(frozen=True)
class Removal:
    """A folder to be removed, and why."""

    holding: Holding
    reason: str


def choose_removals(
    holdings: Iterable[Holding],
    *,
    older_than_days: float | None = None,
    unreferenced: bool = False,
    max_bytes: int | None = None,
    include_referenced: bool = False,
) -> list[Removal]:
    """Choose what to remove.

    Args:
        holdings: What is in the store.
        older_than_days: Only what was not used for this many days.
        unreferenced: Everything that no run refers to (and that is old enough).
        max_bytes: In addition, what was used least recently, until the store is no larger than
            this.
        include_referenced: Also what runs refer to.

    Raises:
        StoreError: No rule is given.
    """
    if older_than_days is None and max_bytes is None and not unreferenced:
        raise StoreError("say what to remove: --unreferenced, --older-than DAYS or --max-gib SIZE")
    everything = list(holdings)
    free = [
        item for item in everything if not item.claimed and (include_referenced or not item.runs)
    ]
    old = [item for item in free if older_than_days is None or item.idle_days >= older_than_days]
    by_rule = old if unreferenced or older_than_days is not None else []
    removals = [Removal(item, _reason(item)) for item in by_rule]
    if max_bytes is None:
        return removals
    rest = sum(item.bytes for item in everything) - sum(item.bytes for item in by_rule)
    left = (item for item in free if item not in by_rule)
    for item in sorted(left, key=lambda item: item.used_at):
        if rest <= max_bytes:
            break
        rest -= item.bytes
        removals.append(Removal(item, "the store is too large, and this was used longest ago"))
    return removals


def remove(layout: Layout, removals: Iterable[Removal]) -> list[Removal]:
    """Remove what was chosen, except what a process has begun to work on; return what was removed.

    An output disappears in one step, so that no process finds half of it.
    """
    gone = []
    for removal in removals:
        holding = removal.holding
        if is_claimed(layout.work(holding.stage, holding.key)):
            continue
        path = holding.path
        if holding.kind == "output":
            path = layout.aside(holding.stage, holding.key)
            move(holding.path, path)
            layout.result(holding.stage, holding.key).unlink(missing_ok=True)
        shutil.rmtree(path)
        gone.append(removal)
    return gone


def _reason(holding: Holding) -> str:
    idle = f"not used for {holding.idle_days:.1f} days"
    if holding.kind == "aside":
        return f"damaged or replaced, {idle}"
    what = "output" if holding.kind == "output" else "unfinished work"
    whose = f"of {', '.join(holding.runs)}" if holding.runs else "that no run refers to"
    return f"{what} {whose}, {idle}"
