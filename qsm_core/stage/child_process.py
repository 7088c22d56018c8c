"""The child process that runs one stage.

    python -m qsm_core.stage.child_process order.json

The order says what to run and where; the outcome is written to a file. Progress goes through a pipe
as JSON lines; everything else that the stage prints goes to standard output and error. SIGTERM
asks the stage to stop. When the parent process is gone, whatever killed it, this process and all
that it started end at once, so that no GPU stays occupied by an orphan.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qsm_core.errors import is_failure
from qsm_core.stage.context import StageContext
from qsm_core.stage.launch import run_in_process
from qsm_core.stage.outcome import write_error, write_launched
from qsm_core.stage.stop import Deadline, StopRequest
from qsm_core.store.files import write_json
from qsm_core.store.spec import StageSpec

MODULE = "qsm_core.stage.child_process"
STOPPED_BY_SIGTERM = "it was asked to stop (SIGTERM: preemption, or a job that ends)"

_PROGRESS_EVERY_S = 0.1
_MESSAGE_CHARACTERS = 500  # a line of progress must fit into a pipe at once


@dataclass(frozen=True)
class Order:
    """What a child process has to run.

    Args:
        spec: The spec of the stage as JSON.
        inputs: Paths by name.
        out: As in `StageContext`.
        work: As in `StageContext`.
        runtime: As in `StageContext`.
        outcome: Where to write how it ended.
        deadline: `stop_at` and `end_at` of the job it runs in, if known.
        progress_fd: Descriptor of the pipe that takes the progress.
        life_fd: Descriptor of a pipe that closes when the parent process ends.
    """

    spec: dict[str, Any]
    inputs: dict[str, str]
    out: str
    work: str
    runtime: dict[str, Any]
    outcome: str
    deadline: tuple[float, float] | None
    progress_fd: int
    life_fd: int

    def write(self, path: Path) -> None:
        """Write the order to a file."""
        write_json(path, asdict(self))


def main(path: Path) -> None:
    """Run the stage of an order and write down how it ended."""
    order = Order(**json.loads(path.read_text()))
    threading.Thread(target=_end_with_parent, args=(order.life_fd,), daemon=True).start()
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("qsm_core").setLevel(logging.INFO)
    stop = StopRequest(Deadline(*order.deadline) if order.deadline else None)
    _handle_sigterm(stop)
    context = StageContext(
        config=order.spec["config"],
        inputs={name: Path(text) for name, text in order.inputs.items()},
        out=Path(order.out),
        work=Path(order.work),
        runtime=order.runtime,
        report=_ProgressPipe(order.progress_fd),
        stop=stop,
    )
    outcome = Path(order.outcome)
    try:
        launched = run_in_process(StageSpec.from_json(order.spec), context, path.parent)
    except BaseException as error:
        if not is_failure(error):
            raise
        write_error(outcome, error)  # passed on to the parent process
    else:
        write_launched(outcome, launched)


def _end_with_parent(descriptor: int) -> None:
    """Wait for the other end of the pipe to close, then end the whole process group."""
    while os.read(descriptor, 1):
        pass
    # The group includes every process that the stage itself started.
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _handle_sigterm(stop: StopRequest) -> None:
    """Treat SIGTERM, which was blocked until now, as a request to stop."""
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stop.set(STOPPED_BY_SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


class _ProgressPipe:
    """A `report` that writes JSON lines to a pipe and never waits for their reader."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._last = float("-inf")

    def __call__(self, done: int, total: int, message: str) -> None:
        """Report progress; see `StageContext.report`."""
        now = time.monotonic()
        if now - self._last < _PROGRESS_EVERY_S and done < total:
            return
        self._last = now
        line = json.dumps([done, total, message[:_MESSAGE_CHARACTERS]], ensure_ascii=False)
        with suppress(BlockingIOError, BrokenPipeError):
            os.write(self._descriptor, f"{line}\n".encode(errors="replace"))


def read_progress_line(line: bytes) -> tuple[int, int, str]:
    """Return what a line of the progress pipe says: done, total, message."""
    done, total, message = json.loads(line)
    return int(done), int(total), str(message)


def order_of(spec: StageSpec, context: StageContext, outcome: Path, **how: Any) -> Order:
    """Return the order to run a stage.

    Args:
        spec: What to make.
        context: The arguments of the stage.
        outcome: Where to write how it ended.
        **how: The further fields of `Order`.
    """
    inputs: Mapping[str, Path] = context.inputs
    return Order(
        spec=spec.to_json(),
        inputs={name: str(path) for name, path in inputs.items()},
        out=str(context.out),
        work=str(context.work),
        runtime=dict(context.runtime),
        outcome=str(outcome),
        **how,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
