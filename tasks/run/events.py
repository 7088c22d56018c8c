"""What happens to the stages of a run, told to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from qsm_core.store.explain import Verdict

EventKind = Literal[
    "waiting", "reused", "queued", "running", "progress", "finished", "failed", "stopped"
]


@dataclass(frozen=True)
class StageEvent:
    """One thing that happened to one stage.

    Args:
        name: The stage, as the flow calls it.
        kind: What happened. `waiting`: for its inputs; `queued`: for a worker;
            `stopped`: with the whole run, from outside.
        done: Steps done, with `progress`.
        total: Steps in all, 0 where unknown.
        message: In words.
        verdict: Why it is reused or runs, from `reused` and `queued` on.
    """

    name: str
    kind: EventKind
    done: int = 0
    total: int = 0
    message: str = ""
    verdict: Verdict | None = None


# Called from several threads, one call at a time. It must not raise and should be quick.
OnEvent = Callable[[StageEvent], None]


def ignore_event(event: StageEvent) -> None:
    """Take an event and do nothing."""
