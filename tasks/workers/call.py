"""One call of a stage as it travels to a worker, and what happens there.

The key was computed in the flow process, before anything was queued: here it is only read, so
Prefect's habit of running a task uncached when its key cannot be computed does no harm.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

import tblib.pickling_support
from prefect.context import TaskRunContext
from prefect.states import Completed

from qsm_core.errors import (
    InterruptedStageError,
    QsmError,
    StageError,
    is_failure,
    is_transient,
)
from qsm_core.stage.context import LIVE_FILE
from qsm_core.stage.crossing import detached_error
from qsm_core.stage.launch import Launch, run_in_process
from qsm_core.stage.making import make_output
from qsm_core.stage.stop import StopRequest
from qsm_core.store.layout import WorkFolder, result_name
from qsm_core.store.spec import StageInput, StageSpec
from qsm_core.store.store import StageOutput, Store
from tasks.workers.progress import ProgressArtifact
from tasks.workers.resources import THREAD_VARIABLES
from tasks.workers.run_log import run_logger
from tasks.workers.secrets import SecretSource
from tasks.workers.shutdown import stop_requests
from tasks.workers.stage_process import StageProcess

# The errors of Prefect's engine, which no stage raises, return to the flow as they are. Dask has
# taught pickle the classes that existed when it was imported; those of Prefect came later.
tblib.pickling_support.install()

# Names in the runtime that this module reads; the stage does not see them.
SUBPROCESS, TIMEOUT_S, SECRET = "subprocess", "timeout_s", "secret"
_SUMMARY_BYTES = 20_000


class Receipt(TypedDict):
    """What Prefect keeps of an output; the output itself is in the store."""

    stage: str
    key: str
    digest: str
    generation: int
    files: int
    bytes: int
    summary: dict[str, Any]


@dataclass(frozen=True)
class StageCall:
    """One stage to make, or to show as reused.

    Args:
        name: What the run calls the stage.
        spec: The spec of the stage as JSON.
        key: Its key, as the flow computed it.
        inputs: By name, path and digest.
        runtime: What changes no result. Here `subprocess` decides whether the stage runs in a
            process of its own, `timeout_s` for how long at most (then it does, too), and `secret`
            names the Prefect Secret block whose text the stage finds in its environment.
        store: Root of the store.
        min_generation: An output that was made fewer times than this is made again.
        reuse: Whether the output is there and is only shown.
        page: Page of markdown that the stage leaves in its output, if it leaves one.
        secret: Where a key comes from, for a stage that may need one.
    """

    name: str
    spec: dict[str, Any]
    key: str
    inputs: dict[str, dict[str, str]]
    runtime: dict[str, Any]
    store: str
    min_generation: int = 1
    reuse: bool = False
    page: str | None = None
    secret: SecretSource | None = None

    @property
    def record(self) -> str:
        """Name of Prefect's record of the stage: the same work is `Cached` in any run."""
        return result_name(self.spec["stage"], self.key)

    def run(self) -> Receipt:
        """Make the output, or take it from the store if somebody else was quicker.

        Returns:
            The receipt. Where the stage is reused and Prefect has no record of it, a state
            `Cached` that holds the receipt, so that the record is written again: a worker that
            dies between the end of its work and Prefect's record leaves such a stage.

        Raises:
            QsmError: As the stage raised it; any other error becomes a StageError, or a
                TransientError where another try can help. What caused it is its text alone, so that
                it can be unpickled anywhere.
        """
        # Prefect prints on the terminal what keeps a line of a log from its server.
        logging.raiseExceptions = False
        try:
            return self._receipt()
        except BaseException as error:
            if not is_failure(error):
                raise
            failure = detached_error(error)
        raise failure  # here, where the error itself does not become its context

    def _receipt(self) -> Receipt:
        spec = StageSpec.from_json(self.spec)
        if spec.key != self.key:
            raise StageError(
                f"{spec.stage}: the key is {spec.key} here and {self.key} in the flow; flow and "
                "worker use different versions of qsm"
            )
        if self.reuse:
            return cast("Receipt", Completed(name="Cached", data=self._reused(spec)))
        output = self._make(spec)
        run_logger().info("%s %s: %s", spec.stage, spec.key8, output.path)
        return receipt(output)

    def run_without_prefect(self, delays_s: Sequence[float]) -> Receipt:
        """Make the output outside a Prefect task, for a run whose server is gone.

        Args:
            delays_s: Pauses before further attempts, after an error that may be gone then.

        Raises:
            QsmError: As `run`.
        """
        for delay_s in delays_s:
            try:
                return self.run()
            except QsmError as error:
                if not is_transient(error) or isinstance(error, InterruptedStageError):
                    raise
                run_logger().warning("%s: again in %g s: %s", self.name, delay_s, error)
            time.sleep(delay_s)
        return self.run()

    def _reused(self, spec: StageSpec) -> Receipt:
        output = Store(Path(self.store)).find(spec, min_generation=self.min_generation)
        if output is None:
            raise StageError(
                f"{spec.stage} {spec.key8}: its output was removed from {self.store} just now"
            )
        return receipt(output)

    def _make(self, spec: StageSpec) -> StageOutput:
        store = Store(Path(self.store))
        given = {
            name: StageInput(Path(one["path"]), one["digest"]) for name, one in self.inputs.items()
        }
        runtime = dict(self.runtime)
        block = runtime.pop(SECRET, None)
        apart, timeout_s = runtime.pop(SUBPROCESS, False), runtime.pop(TIMEOUT_S, None)
        work = WorkFolder(store.layout.work(spec.stage, self.key))
        progress = None
        if TaskRunContext.get() is not None:
            progress = ProgressArtifact(self.name, live=work.resume / LIVE_FILE)
        source = self.secret or SecretSource("", SECRET)
        with source.in_environment(block), stop_requests() as stop:
            threads = runtime.get("threads")
            output = make_output(
                store,
                spec,
                given,
                runtime,
                progress or _show_nothing,
                min_generation=self.min_generation,
                launch=_launch(stop, apart=apart, timeout_s=timeout_s, threads=threads),
                stop=stop,
            )
        if progress is not None:
            progress.finish(None if self.page is None else output.path / self.page)
        return output


def receipt(output: StageOutput) -> Receipt:
    """Return what Prefect keeps of an output; a summary that is too large stays in the store."""
    small = output.manifest.receipt()
    if len(str(small["summary"])) > _SUMMARY_BYTES:
        small["summary"] = {"see": str(output.path)}
    return cast("Receipt", small)


def _launch(stop: StopRequest, *, apart: bool, timeout_s: float | None, threads: object) -> Launch:
    """Return how the stage is called: in a process of its own, or in this one."""
    if apart or timeout_s is not None:
        log = run_logger()
        return StageProcess(stop, lambda line: log.info("%s", line), timeout_s=timeout_s)
    _use_threads(threads)
    return run_in_process


def _show_nothing(_done: int, _total: int, _message: str) -> None:
    """Stand in for the progress artifact outside a Prefect task."""


def _use_threads(threads: object) -> None:
    """Let the numerics of this process use so many threads."""
    if not isinstance(threads, int):
        return
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
