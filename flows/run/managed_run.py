"""What every flow of qsm needs around its function: an end from outside, and one without a server.

A run of a deployment is ended by its worker, which sends it a signal. Behind a run from a terminal
stands nobody: when it is cancelled in the UI or by Prefect's CLI, its state is set to `Cancelling`,
and that is all. So such a run looks at its own state every few seconds, and then ends as Ctrl-C
ends it: no process and no job of it is left.
"""

from __future__ import annotations

import functools
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from types import TracebackType
from typing import ParamSpec, Self, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import Abort, PrefectException
from prefect.runtime import flow_run
from prefect.states import Cancelled

from flows.run.server import is_of_deployment, outlives_server

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
_LOOK_EVERY_S = 3.0
_LAST_LOOK_S = 2.0  # a server that is away must not hold up the end of a run
_WHY = "the run was cancelled in the UI, or by `prefect flow-run cancel`"


def managed_run(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate the function of a flow: a run of it can be cancelled, and outlives its server.

    A run that was cancelled ends with Prefect's `Abort`, which leaves its state `Cancelled`.
    """

    @functools.wraps(function)
    def managed(*arguments: P.args, **named: P.kwargs) -> R:
        if flow_run.id is None:  # called for its plan alone
            return function(*arguments, **named)
        # Entered here, not as decorators: Prefect pickles a flow with what it holds.
        with outlives_server(), _cancellable():
            return function(*arguments, **named)

    return managed


@contextmanager
def _cancellable() -> Iterator[None]:
    in_main_thread = threading.current_thread() is threading.main_thread()
    if is_of_deployment() or not in_main_thread:
        yield
        return
    watch = _Watch(UUID(str(flow_run.id)))
    try:
        with watch:
            yield
    except KeyboardInterrupt:
        if not watch.cancelled:
            raise
    if watch.cancelled:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(watch.flow_run_id, Cancelled(message=_WHY), force=True)
        raise Abort(_WHY)


class _Watch:
    """Looks at a flow run in a thread of its own while the block runs; interrupts the block."""

    def __init__(self, flow_run_id: UUID) -> None:
        self.flow_run_id = flow_run_id
        self.cancelled = False
        self._over = threading.Event()
        # Prefect finds its settings in context variables, which a thread does not inherit.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._look,), name="look for cancel", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(_LAST_LOOK_S)

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            if self._is_cancelling() and not self._over.is_set():
                logger.warning("%s", _WHY)
                self.cancelled = True
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                return

    def _is_cancelling(self) -> bool:
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(self.flow_run_id).state
        except (httpx.HTTPError, PrefectException) as error:
            logger.debug("asked again in a moment: %s", error)
            return False
        return state is not None and (state.is_cancelling() or state.is_cancelled())
