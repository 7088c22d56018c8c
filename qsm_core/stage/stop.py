"""A request that a stage should stop: because somebody asks, or because its time is over.

Times are seconds since the epoch, the same for every process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Deadline:
    """The end of the place where a stage runs, known beforehand.

    Args:
        stop_at: When the stage should come to a stop.
        end_at: When whatever still runs is killed.
    """

    stop_at: float
    end_at: float

    @property
    def reason(self) -> str:
        """Why a stage has to stop, in words."""
        end = datetime.fromtimestamp(self.end_at, UTC).strftime("%H:%M:%S UTC")
        return f"the walltime of its job ends at {end}"


class StopRequest:
    """Is asked by the stage and told by signals and timers, from any thread."""

    def __init__(
        self, deadline: Deadline | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Begin without a request.

        Args:
            deadline: Is a request from its `stop_at` on.
            clock: Tells the time.
        """
        self.deadline = deadline
        self._clock = clock
        self._asked: tuple[str, float] | None = None

    def __call__(self) -> str | None:
        """Return why the stage should stop, None while it should go on."""
        if self._asked is not None:
            return self._asked[0]
        if self.deadline is not None and self._clock() >= self.deadline.stop_at:
            return self.deadline.reason
        return None

    def ask(self, reason: str, grace_s: float = float("inf")) -> None:
        """Ask the stage to stop; the first reason stays.

        Args:
            reason: Why, in words.
            grace_s: Seconds until whatever still runs is killed.
        """
        if self._asked is None:
            self._asked = (reason, self._clock() + grace_s)

    @property
    def asked(self) -> bool:
        """Whether somebody asked, beside the deadline."""
        return self._asked is not None

    @property
    def end_at(self) -> float:
        """When whatever still runs is killed; infinity where nobody wants that."""
        ends = [] if self._asked is None else [self._asked[1]]
        ends += [] if self.deadline is None else [self.deadline.end_at]
        return min(ends, default=float("inf"))

    @property
    def left_s(self) -> float:
        """Seconds until whatever still runs is killed."""
        return self.end_at - self._clock()
