"""Stages that can begin together are queued in the order in which the flow names them.

The flow names first what others wait for; where workers are few, it has to run first.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.run.handle import StageHandle

# How long one decision is waited for; it takes longer only where large outputs are verified.
_PATIENCE_S = 10.0


def give_way(earlier: Sequence[StageHandle]) -> None:
    """Wait until those of the stages submitted earlier that can begin have been decided.

    Where nothing is decided for long, the stage goes ahead: order is wished for, not needed.

    Args:
        earlier: The stages that were submitted before the one that waits.
    """
    stuck = None
    while undecided := [other for other in earlier if _can_begin(other)]:
        # Each of them gives way as well, so the last is decided last: one wait is enough, where a
        # thousand stages that each wait for all before them would wake each other all the time.
        if undecided[-1].decided.wait(_PATIENCE_S):
            continue
        if undecided[0] is stuck:
            return
        stuck = undecided[0]


def _can_begin(handle: StageHandle) -> bool:
    """Say whether a stage has its inputs and is not decided yet."""
    return not handle.decided.is_set() and all(one.future.done() for one in handle.needs)
