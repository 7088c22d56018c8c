"""How the function of a flow ended, whatever Prefect made of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Ending:
    """How the function of a flow ended.

    Args:
        error: What it raised.
        server_lost: Whether the Prefect server did not answer at its end: then nothing may wait
            for it.
        exit_code: Of a flow whose result is a verdict, for the terminal; None until there is one.
    """

    error: BaseException | None = None
    server_lost: bool = False
    exit_code: int | None = None


_CURRENT: ContextVar[Ending | None] = ContextVar("ending", default=None)


@contextmanager
def noted_ending(ending: Ending) -> Iterator[None]:
    """Have a flow that is called inside the block note how it ends."""
    token = _CURRENT.set(ending)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current_ending() -> Ending:
    """Return where the flow that runs now notes how it ends."""
    return _CURRENT.get() or Ending()
