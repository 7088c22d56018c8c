"""Ctrl-C: once ends a command in order, twice ends it at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from flows.terminal.processes import adopt_orphans, end_descendants

INTERRUPTED_EXIT = 128 + signal.SIGINT
_LAST_PROCESSES_S = 3.0


@contextmanager
def orderly_interrupt(say: Callable[[str], None]) -> Iterator[None]:
    """Turn the first Ctrl-C into KeyboardInterrupt, and have the second end everything at once.

    Args:
        say: Shows a line to the user.
    """
    adopt_orphans()

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, kill)
        say("stopping ... (Ctrl-C again: at once)")
        raise KeyboardInterrupt

    def kill(_signum: int, _frame: FrameType | None) -> None:
        end_descendants(0)
        os._exit(INTERRUPTED_EXIT)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        end_descendants(_LAST_PROCESSES_S)
        raise
    finally:
        signal.signal(signal.SIGINT, before)
