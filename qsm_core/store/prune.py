"""Make room in a store: choose what nobody needs, then remove it.

What a run refers to stays, unless it is asked for by name; what a process works on stays always.
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
        older_than_days: Only what was not used for so long.
        unreferenced: Everything that no run refers to (and that is old enough).
        max_bytes: Beyond that, what was not used for the longest time, until the store is no
            larger than this.
        include_referenced: Also what runs refer to.

    Raises:
        StoreError: No rule was given.
    """
    if older_than_days is None and max_bytes is None and not unreferenced:
        raise StoreError("say what to remove: --unreferenced, --older-than DAYS or --max-gib SIZE")
    everything = list(holdings)
    free = [one for one in everything if not one.claimed and (include_referenced or not one.runs)]
    old = [one for one in free if older_than_days is None or one.idle_days >= older_than_days]
    by_rule = old if unreferenced or older_than_days is not None else []
    removals = [Removal(one, _reason(one)) for one in by_rule]
    if max_bytes is None:
        return removals
    rest = sum(one.bytes for one in everything) - sum(one.bytes for one in by_rule)
    left = (one for one in free if one not in by_rule)
    for one in sorted(left, key=lambda one: one.used_at):
        if rest <= max_bytes:
            break
        rest -= one.bytes
        removals.append(Removal(one, "the store is too large, and this was used longest ago"))
    return removals


def remove(layout: Layout, removals: Iterable[Removal]) -> list[Removal]:
    """Remove what was chosen, but for what somebody has begun to work on; return what is gone.

    An output disappears in one step, so that nobody finds half of it.
    """
    gone = []
    for removal in removals:
        one = removal.holding
        if is_claimed(layout.work(one.stage, one.key)):
            continue
        path = one.path
        if one.kind == "output":
            path = layout.aside(one.stage, one.key)
            move(one.path, path)
            layout.result(one.stage, one.key).unlink(missing_ok=True)
        shutil.rmtree(path)
        gone.append(removal)
    return gone


def _reason(one: Holding) -> str:
    idle = f"not used for {one.idle_days:.1f} days"
    if one.kind == "aside":
        return f"damaged or replaced, {idle}"
    what = "output" if one.kind == "output" else "unfinished work"
    whose = f"of {', '.join(one.runs)}" if one.runs else "that no run refers to"
    return f"{what} {whose}, {idle}"
