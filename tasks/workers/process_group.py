"""The process group of a stage: followed, asked to stop, killed with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import IO

from qsm_core.errors import StageError
from qsm_core.stage.child_process import read_progress_line
from qsm_core.stage.usage import resident_peak_mib
from tasks.workers.process_log import ProcessLog

_READERS_END_S = 10.0


class ProcessGroup:
    """A process and the group that it leads."""

    def __init__(self, process: subprocess.Popen[bytes], progress: int) -> None:
        """Take charge of a process.

        Args:
            process: Was started in a session of its own.
            progress: Descriptor of the pipe on which it reports progress.
        """
        self._process = process
        self._progress = os.fdopen(progress, "rb")
        self._end: tuple[int, float] | None = None

    def has_ended(self) -> bool:
        """Say whether the process has ended; it is not reaped, so its group keeps its id."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, how) is not None

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the process alone: it may need its own children in order to stop."""
        self._process.send_signal(signal.SIGTERM)

    def end(self) -> tuple[int, float]:
        """Kill what is left of the group; return exit code and peak memory in MiB."""
        if self._end is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            _, status, usage = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            self._end = self._process.returncode, resident_peak_mib(usage)
        return self._end

    @contextmanager
    def readers(self, log: ProcessLog, report: Callable[[int, int, str], None]) -> Iterator[None]:
        """Read what the process prints and reports, until it has ended after the block."""

        def follow_progress(stream: IO[bytes]) -> None:
            for line in stream:
                report(*read_progress_line(line))

        output = self._process.stdout
        if output is None:
            raise StageError("the process has no pipe for its output")
        readers = [_reader(log.follow, output), _reader(follow_progress, self._progress)]
        try:
            yield
        finally:
            self.end()
            for reader in readers:
                reader.join(_READERS_END_S)


def _reader(follow: Callable[[IO[bytes]], None], stream: IO[bytes]) -> threading.Thread:
    """Start a thread that reads a stream to its end, with the context variables of this one."""

    def read() -> None:
        with stream:
            follow(stream)

    thread = threading.Thread(target=copy_context().run, args=(read,), daemon=True)
    thread.start()
    return thread
