"""The stage `optimize_prompt` in a process that kills itself after the second event of a kind.

    python -m tests.support.dying_search --spec spec.json

The runtime value `die_at` names the kind: one of the trajectory, or "answers", those of the
optimizer LLM. The kill always comes at the same place, whatever the timing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from qsm_core.models.text import cached
from qsm_core.models.text.protocol import Answer
from qsm_core.prompting.optimize import run
from qsm_core.prompting.search import trajectory
from qsm_core.stage.context import StageContext
from qsm_core.stage.entry import run_entry

_EVENTS = 2


def dying(context: StageContext) -> dict[str, Any]:
    """Run the stage until it is to die."""
    whole = trajectory.Trajectory.record

    def record(self: trajectory.Trajectory, kind: str, values: Mapping[str, Any]) -> Any:
        event = whole(self, kind, values)
        if kind == context.runtime["die_at"] and len(list(self.events(kind))) >= _EVENTS:
            os.kill(os.getpid(), signal.SIGKILL)
        return event

    original = cached.CachedLLM.answers

    def answers(self: cached.CachedLLM, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        texts = original(self, prompt, seeds)
        given = [event for event in self._events if "answers" in event]
        if context.runtime["die_at"] == "answers" and len(given) >= _EVENTS:
            os.kill(os.getpid(), signal.SIGKILL)
        return texts

    trajectory.Trajectory.record = record  # type: ignore[method-assign]
    cached.CachedLLM.answers = answers  # type: ignore[method-assign]
    return run(context)


if __name__ == "__main__":
    run_entry(dying)
