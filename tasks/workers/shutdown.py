"""The end of a worker: the stage that runs on it is asked to stop in time to keep its work.

A worker learns of its end in two ways:

- `SLURM_JOB_END_TIME`, or `QSM_DEADLINE` under another batch system, in seconds since 1970; a stage
  is asked to stop `QSM_STOP_MARGIN_S` before;
- SIGTERM, which SLURM sends before it ends a job that is preempted or cancelled. Dask would close
  the worker at once. Here the stage is asked to stop, and Dask gets the signal after it has.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import Any

from distributed import Status, get_worker

from qsm_core.errors import ConfigurationError, InterruptedStageError
from qsm_core.stage.stop import Deadline, StopRequest

logger = logging.getLogger(__name__)

# SLURM kills 30 s after SIGTERM, unless the site says otherwise (KillWait, GraceTime).
GRACE_S = 25.0
DEFAULT_MARGIN_S = 120.0
SIGTERM_REASON = "its worker received SIGTERM (its job was preempted or cancelled)"

_END_VARIABLES = ("QSM_DEADLINE", "SLURM_JOB_END_TIME")
_MARGIN_VARIABLE = "QSM_STOP_MARGIN_S"
_INSTALL_WITHIN_S = 10.0
_FETCH_WITHIN_S = 20.0
_POLL_S = 0.1
_CLOSING = (Status.closing, Status.closing_gracefully, Status.closed)

Handler = Callable[[int, FrameType | None], Any] | int | None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Give a stage, for the time of the block, the request by which it learns that it has to stop.

    Raises:
        InterruptedStageError: The worker has to stop already; nothing was begun.
        ConfigurationError: The environment gives an end that is not a number.
    """
    shutdown = _shutdown()
    worker = _dask_worker()
    if worker is not None:
        shutdown.handle_sigterm(worker)
        if worker.status in _CLOSING:  # the signal came before the stage
            shutdown.request.set(SIGTERM_REASON, GRACE_S)
    reason = shutdown.request()
    if reason is not None:
        raise InterruptedStageError(f"{reason}; the stage was not begun here")
    with shutdown.keep_open():
        yield shutdown.request


def read_deadline(environment: Mapping[str, str]) -> Deadline | None:
    """Return when this process ends, None where the environment does not say.

    Raises:
        ConfigurationError: A variable is not a number.
    """
    name = next((name for name in _END_VARIABLES if environment.get(name)), None)
    if name is None:
        return None
    end_at = _number(environment, name)
    margin = environment.get(_MARGIN_VARIABLE)
    margin_s = _number(environment, _MARGIN_VARIABLE) if margin else DEFAULT_MARGIN_S
    return Deadline(stop_at=end_at - margin_s, end_at=end_at)


class WorkerShutdown:
    """The end of this process as a Dask worker; there is one instance."""

    def __init__(self, request: StopRequest) -> None:
        self.request = request
        self._busy = 0
        self._worker: Any = None
        self._before: Handler = None

    def handle_sigterm(self, worker: Any) -> None:
        """Handle SIGTERM from now on; only the main thread of a process can install a handler."""
        if self._worker is not None:
            return
        self._worker = worker
        done = threading.Event()

        def install() -> None:
            try:
                self._before = signal.getsignal(signal.SIGTERM)
                signal.signal(signal.SIGTERM, self._on_signal)
            except ValueError:
                logger.warning("the worker's event loop is not in the main thread: SIGTERM will "
                               "end it without asking the stage to stop")  # fmt: skip
            finally:
                done.set()

        worker.loop.add_callback(install)
        done.wait(_INSTALL_WITHIN_S)

    @contextmanager
    def keep_open(self) -> Iterator[None]:
        """Keep the worker open while a stage runs; after a SIGTERM, close it then."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            if self.request.is_set:
                threading.Thread(target=self._close_when_fetched, daemon=True).start()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.request.set(SIGTERM_REASON, GRACE_S)
        if self._busy:
            self._worker.loop.asyncio_loop.call_soon_threadsafe(self._accept_no_more)
        else:
            self._pass_on(number, frame)

    def _accept_no_more(self) -> None:
        self._worker.status = Status.paused

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Do what the handler before ours does."""
        if callable(self._before):
            self._before(number, frame)
        else:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def _close_when_fetched(self) -> None:
        """Close the worker once the flow has fetched the stage's result, which only it holds."""
        worker = self._worker
        deadline = time.monotonic() + _FETCH_WITHIN_S
        while time.monotonic() < deadline and (worker.data or worker.state.executing_count):
            time.sleep(_POLL_S)
        worker.loop.add_callback(self._pass_on, signal.SIGTERM, None)


@lru_cache(maxsize=1)
def _shutdown() -> WorkerShutdown:
    return WorkerShutdown(StopRequest(read_deadline(os.environ)))


def _dask_worker() -> Any:
    """Return the Dask worker of this process, None where there is none."""
    try:
        return get_worker()
    except ValueError:
        return None


def _number(environment: Mapping[str, str], name: str) -> float:
    try:
        return float(environment[name])
    except ValueError:
        problem = f"{name} = {environment[name]!r}: not a number of seconds"
        raise ConfigurationError("the end of this worker is not known", [problem]) from None
