"""A request that a stage should stop: a signal or timer requested it, or its time is over.

Times are seconds since the epoch, the same for every process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Deadline:
    """When the job that a stage runs in ends, known beforehand.

    Args:
        stop_at: When the stage should come to a stop.
        end_at: When whatever still runs is killed.
    """

    stop_at: float
    end_at: float

    @property
    def reason(self) -> str:
        """Why a stage should stop, in words."""
        end = datetime.fromtimestamp(self.end_at, UTC).strftime("%H:%M:%S UTC")
        return f"the walltime of its job ends at {end}"


class StopRequest:
    """Set by signals and timers, checked by the stage, from any thread."""

    def __init__(
        self, deadline: Deadline | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Start without a request.

        Args:
            deadline: Counts as a request from its `stop_at` on.
            clock: Returns the present time.
        """
        self.deadline = deadline
        self._clock = clock
        self._request: tuple[str, float] | None = None

    def __call__(self) -> str | None:
        """Return why the stage should stop, None while it should continue."""
        if self._request is not None:
            return self._request[0]
        if self.deadline is not None and self._clock() >= self.deadline.stop_at:
            return self.deadline.reason
        return None

    def set(self, reason: str, grace_s: float = float("inf")) -> None:
        """Request that the stage stops; the first reason is kept.

        Args:
            reason: Why, in words.
            grace_s: Seconds until whatever still runs is killed.
        """
        if self._request is None:
            self._request = (reason, self._clock() + grace_s)

    @property
    def is_set(self) -> bool:
        """Whether a stop was requested explicitly, deadline aside."""
        return self._request is not None

    @property
    def end_at(self) -> float:
        """When whatever still runs is killed; infinity if never."""
        ends = [] if self._request is None else [self._request[1]]
        ends += [] if self.deadline is None else [self.deadline.end_at]
        return min(ends, default=float("inf"))

    @property
    def left_s(self) -> float:
        """Seconds until whatever still runs is killed."""
        return self.end_at - self._clock()
