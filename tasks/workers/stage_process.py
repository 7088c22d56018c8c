"""Run a stage in a process of its own: its memory is freed after it, and it can be killed.

The process is the leader of a session and a process group of its own. The group is killed when the
stage takes too long, does not stop in time, or ends and leaves something behind. If the process
that started it dies, the group ends itself (`qsm_core.stage.child_process`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import InterruptedStageError, QsmError, StageError
from qsm_core.stage.child_process import MODULE, STOPPED_BY_SIGTERM, order_of
from qsm_core.stage.context import StageContext
from qsm_core.stage.launch import Launched
from qsm_core.stage.outcome import read_outcome
from qsm_core.stage.stop import StopRequest
from qsm_core.store.layout import VOLATILE_FOLDER
from qsm_core.store.spec import StageSpec
from tasks.workers.memory_kills import MemoryKills
from tasks.workers.process_group import ProcessGroup
from tasks.workers.process_log import LOG, OnLine, ProcessLog
from tasks.workers.resources import THREAD_VARIABLES

_POLL_S = 0.2
_KILL_BEFORE_END_S = 3.0  # so that there is time to report why
# These hold keys and passwords, which the core does not need.
_WITHHELD = ("PREFECT_", "DASK_")
_KILLED_IN_SHELL = 128 + signal.SIGKILL


@dataclass(frozen=True)
class StageProcess:
    """Calls the entry of a stage in a process of its own; a `qsm_core.stage.launch.Launch`.

    Args:
        stop: Asks the stage to stop, and has it killed shortly before the worker ends.
        on_line: Receives the lines that the process prints.
        timeout_s: Longest time of the stage; None for any.
    """

    stop: StopRequest
    on_line: OnLine
    timeout_s: float | None = None

    def __call__(self, spec: StageSpec, context: StageContext, folder: Path) -> Launched:
        """Run the stage.

        Args:
            spec: What to make.
            context: The arguments of the stage.
            folder: For the files of order, outcome and log.

        Raises:
            QsmError: As the stage raised it.
            InterruptedStageError: The stage was asked to stop and did, or did not in time.
            StageError: It took too long, or its process died.
        """
        folder.mkdir(parents=True, exist_ok=True)
        outcome = folder / "outcome.json"
        outcome.unlink(missing_ok=True)
        log = ProcessLog(folder, self.on_line)
        memory_kills = MemoryKills()
        with self._process_group(spec, context, folder) as group:
            with group.readers(log, context.report):
                self._supervise(spec, group)
            code, peak_mib = group.end()
        log.copy_to(context.out / VOLATILE_FOLDER / LOG)
        try:
            launched = read_outcome(outcome)
        except InterruptedStageError as error:
            # The process received a signal; why it was sent is known here only.
            reason = self.stop() or STOPPED_BY_SIGTERM
            message = str(error).replace(STOPPED_BY_SIGTERM, reason)
            raise InterruptedStageError(message) from error
        if launched is None:
            raise self._exit_error(spec, _exit(code, peak_mib, memory_kills.seen()), code, log)
        return launched

    @contextmanager
    def _process_group(
        self, spec: StageSpec, context: StageContext, folder: Path
    ) -> Iterator[ProcessGroup]:
        """Start the process; whatever happens in the block, its group has ended after it."""
        progress, progress_end = os.pipe()
        life_end, life = os.pipe()
        deadline = self.stop.deadline
        order = order_of(
            spec,
            context,
            folder / "outcome.json",
            deadline=(deadline.stop_at, deadline.end_at) if deadline else None,
            progress_fd=progress_end,
            life_fd=life_end,
        )
        order.write(folder / "order.json")
        try:
            with _signal_mask(signal.SIGTERM):
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", MODULE, folder / "order.json"],
                    env=child_environment(os.environ, context.runtime.get("threads")),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    pass_fds=(progress_end, life_end),
                    start_new_session=True,
                )
        finally:
            os.close(progress_end)
            os.close(life_end)
        group = ProcessGroup(process, progress)
        try:
            yield group
        finally:
            group.end()
            os.close(life)

    def _supervise(self, spec: StageSpec, group: ProcessGroup) -> None:
        """Wait for the end of the process; pass on a request to stop; enforce the timeout."""
        began = time.monotonic()
        stop_sent = False
        while not group.has_ended():
            reason = self.stop()
            if reason is not None and not stop_sent:
                stop_sent = True
                group.ask_to_stop()
            if self.stop.left_s < _KILL_BEFORE_END_S:
                raise InterruptedStageError(
                    f"{reason}; the stage did not stop in time, so what it did since it last saved "
                    "its work is done again"
                )
            if self.timeout_s is not None and time.monotonic() - began > self.timeout_s:
                raise StageError(
                    f"{spec.stage} took longer than its timeout of {self.timeout_s:g} s and was "
                    "killed. The work that it saved is kept: raise the timeout in the cluster "
                    "profile and run the same again"
                )
            time.sleep(_POLL_S)

    def _exit_error(self, spec: StageSpec, how: str, code: int, log: ProcessLog) -> QsmError:
        """Return the error for a process that ended without reporting an outcome."""
        reason = self.stop()
        if reason is not None and code == -signal.SIGTERM:
            return InterruptedStageError(f"{reason}; it ended at once")
        end = f"The end of its log:\n{log.tail}\nAll of it: {log.path}" if log.tail else ""
        return StageError(f"the process of {spec.stage} {how}. {end}".strip())


def child_environment(environment: Mapping[str, str], threads: object) -> dict[str, str]:
    """Return the environment for the process of a stage.

    It imports from the same folders as this process. Settings of Prefect and Dask are withheld,
    since they include secrets.

    Args:
        environment: Of this process.
        threads: Threads of the numerics, an int where that is decided.
    """
    kept = {name: text for name, text in environment.items() if not name.startswith(_WITHHELD)}
    kept["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    kept["PYTHONUNBUFFERED"] = "1"
    if isinstance(threads, int):
        kept.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    return kept


@contextmanager
def _signal_mask(number: signal.Signals) -> Iterator[None]:
    """Block a signal in this thread; a process started in the block unblocks it when ready."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _exit(code: int, peak_mib: float, memory_ran_out: bool | None) -> str:
    """Say how a process ended.

    Args:
        code: Its exit code; negative: the signal that ended it.
        peak_mib: Its largest memory.
        memory_ran_out: Whether the kernel killed a process for that; None: it is not known.
    """
    peak = f"its peak was {peak_mib:.0f} MiB"
    if code in (-signal.SIGKILL, _KILLED_IN_SHELL):
        if memory_ran_out:
            return (
                f"was killed (SIGKILL) because memory ran out: {peak}. Raise `memory` in the "
                "cluster profile, or use a smaller batch"
            )
        seen = "" if memory_ran_out is None else "memory had not run out, "
        return f"was killed (SIGKILL) from outside: {seen}{peak}"
    if code < 0:
        return f"was ended by {signal.Signals(-code).name} ({signal.strsignal(-code)})"
    return f"ended with exit code {code} without reporting an error"
