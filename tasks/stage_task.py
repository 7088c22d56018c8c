"""The Prefect task that makes one stage: cache key, retries, progress. Runs on a worker.

The key was computed in the flow process, before anything was queued: here it is only read, so
Prefect's habit of running a task uncached when its key cannot be computed does no harm.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.exceptions import PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import task_run
from prefect.states import Completed
from prefect.tasks import Task, exponential_backoff

from qsm_core.errors import (
    InterruptedStageError,
    QsmError,
    StageError,
    as_qsm_error,
    is_transient,
)
from qsm_core.prompting.search.pages import SEARCH_PAGE
from qsm_core.stage.context import LIVE_FILE
from qsm_core.stage.launch import Launch, run_in_process
from qsm_core.stage.making import make_output
from qsm_core.stage.stop import StopRequest
from qsm_core.store.layout import WorkFolder, result_name
from qsm_core.store.spec import StageInput, StageSpec
from qsm_core.store.store import StageOutput, Store
from tasks.run.artifacts import LivePage, artifact_key
from tasks.run.secrets import key_in_environment
from tasks.workers.resources import THREAD_VARIABLES
from tasks.workers.shutdown import stop_requests
from tasks.workers.stage_process import StageProcess

RETRIES = 2
_FIRST_DELAY_S = 2.0
_ARTIFACT_EVERY_S = 10.0
_SHOWN_WITHIN_S = 10.0
_SUMMARY_BYTES = 20_000


@dataclass
class StageKeyPolicy(CachePolicy):
    """The key of the stage is the key of the task: the same work is `Cached` in any run."""

    def compute_key(
        self,
        task_ctx: TaskRunContext,  # noqa: ARG002
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002
        **_: Any,
    ) -> str:
        """Return the name of Prefect's record of this stage."""
        return result_name(inputs["spec"]["stage"], inputs["key"])


# A stage that is made and one that is shown are the same task to Prefect: one name, one record.
_AS_STAGE: dict[str, Any] = {
    "name": "stage",
    "cache_policy": StageKeyPolicy(),
    "persist_result": True,
    "result_serializer": "json",
    "cache_result_in_memory": False,
}


def another_try_can_help(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Say whether the error of a failed attempt may be gone on the next one, in this process."""
    error = state.data
    if not isinstance(error, BaseException) or isinstance(error, InterruptedStageError):
        return False
    return is_transient(error)


@task(
    **_AS_STAGE,
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(_FIRST_DELAY_S),
    retry_condition_fn=another_try_can_help,
)
def make_stage(
    spec: dict[str, Any],
    key: str,
    inputs: dict[str, dict[str, str]],
    runtime: dict[str, Any],
    store: str,
    min_generation: int,
) -> dict[str, Any]:
    """Make one stage, or take it from the store if somebody else was quicker.

    Args:
        spec: The spec of the stage as JSON.
        key: Its key, as the flow computed it.
        inputs: By name, path and digest.
        runtime: What changes no result. Here `subprocess` decides whether the stage runs in a
            process of its own, and `timeout_s` for how long at most; then it does, too.
            `optimizer_secret` names the Secret block whose key the stage finds in its environment.
        store: Root of the store.
        min_generation: An output that was made fewer times than this is made again.

    Returns:
        The receipt: stage, key, digest, summary.

    Raises:
        QsmError: As the stage raised it; any other error becomes a StageError, or a
            TransientError where another try can help.
    """
    read = StageSpec.from_json(spec)
    if read.key != key:
        raise StageError(
            f"{read.stage}: the key is {read.key} here and {key} in the flow; flow and worker "
            "use different versions of qsm"
        )
    given = {name: StageInput(Path(one["path"]), one["digest"]) for name, one in inputs.items()}
    own = dict(runtime)
    secret = own.pop("optimizer_secret", None)
    apart, timeout_s = own.pop("subprocess", False), own.pop("timeout_s", None)
    work = WorkFolder(Store(Path(store)).layout.work(read.stage, key))
    progress = ProgressArtifact(_name_in_run(), live=work.resume / LIVE_FILE)
    try:
        with key_in_environment(secret), stop_requests() as stop:
            output = make_output(
                Store(Path(store)),
                read,
                given,
                own,
                progress,
                min_generation=min_generation,
                launch=_launch(stop, apart=apart, timeout_s=timeout_s, threads=own.get("threads")),
                stop=stop,
            )
        progress.finish(output.path / SEARCH_PAGE)
    except QsmError:
        raise
    except Exception as error:
        raise as_qsm_error(error) from error
    get_run_logger().info("%s %s: %s", read.stage, read.key8, output.path)
    return receipt(output)


@task(**_AS_STAGE)
def show_stage(
    spec: dict[str, Any],
    key: str,
    inputs: dict[str, dict[str, str]],  # noqa: ARG001 - shown with the task run
    runtime: dict[str, Any],  # noqa: ARG001
    store: str,
    min_generation: int,
) -> State[dict[str, Any]]:
    """Show a stage that is reused. Called where Prefect has no record of it, which is made again.

    A worker that dies between the end of its work and Prefect's record leaves such a stage.

    Args:
        spec: As for `make_stage`, like the others.
        key: Of the stage.
        inputs: Of the stage.
        runtime: Of the stage.
        store: Root of the store.
        min_generation: How often it was made at least.

    Raises:
        StageError: The output, which was there a moment ago, is gone.
    """
    read = StageSpec.from_json(spec)
    output = Store(Path(store)).find(read, min_generation=min_generation)
    if output is None:
        raise StageError(f"{read.stage} {key[:8]}: its output was removed from {store} just now")
    return Completed(name="Cached", data=receipt(output))


def receipt(output: StageOutput) -> dict[str, Any]:
    """Return what Prefect keeps of an output; a summary that is too large stays in the store."""
    small = output.manifest.receipt()
    if len(str(small["summary"])) > _SUMMARY_BYTES:
        small["summary"] = {"see": str(output.path)}
    return small


class ProgressArtifact:
    """Shows the progress of a stage as a Prefect artifact, updated every ten seconds at most.

    A stage that is done sooner gets none. The stage does not wait for the server, for which Prefect
    waits a minute where it is away: what is reported meanwhile is not shown, what comes later is.
    """

    def __init__(
        self, name: str, every_s: float = _ARTIFACT_EVERY_S, *, live: Path | None = None
    ) -> None:
        """Prepare the artifact.

        Args:
            name: What the run calls the stage; becomes the artifact's title.
            every_s: Seconds between updates.
            live: A page of markdown that the stage may write, shown beside the progress.
        """
        self._live = None if live is None else LivePage(name, live)
        self._key = artifact_key(f"progress of {name}")
        self._every_s = every_s
        self._last = time.monotonic()
        self._artifact: UUID | None = None
        self._showing: threading.Thread | None = None
        self._last_page: Path | None = None

    def __call__(self, done: int, total: int, message: str) -> None:
        """Report progress; see `StageContext.report`."""
        now = time.monotonic()
        finished = done >= total and self._artifact is not None
        if self._is_busy or (now - self._last < self._every_s and not finished):
            return
        self._last = now
        percent = 100.0 * done / total if total else 0.0
        self._begin_to_show(percent, f"{message} ({done} of {total})")

    def wait(self) -> None:
        """Wait until what was reported is shown, but not long."""
        if self._showing is not None:
            self._showing.join(_SHOWN_WITHIN_S)

    def finish(self, last_page: Path | None = None) -> None:
        """Show that the stage is done, if it had an artifact.

        Args:
            last_page: The page that it left in its output, if it leaves one.
        """
        self.wait()
        self._last_page = last_page
        if self._artifact is not None and not self._is_busy:
            self._begin_to_show(100.0, "finished")
            self.wait()

    @property
    def _is_busy(self) -> bool:
        return self._showing is not None and self._showing.is_alive()

    def _begin_to_show(self, percent: float, description: str) -> None:
        # Prefect finds the task run in context variables, which a thread does not inherit.
        self._showing = threading.Thread(
            target=copy_context().run,
            args=(self._try_to_show, percent, description),
            name="show progress",
            daemon=True,
        )
        self._showing.start()

    def _try_to_show(self, percent: float, description: str) -> None:
        try:
            self._show(percent, description)
            if self._live is not None:
                self._live.show(self._last_page)
        except (httpx.HTTPError, PrefectException) as error:
            # A stage of many hours does not end because its progress cannot be shown.
            get_run_logger().warning("progress could not be shown: %s", error)

    def _show(self, percent: float, description: str) -> None:
        if self._artifact is None:
            made = create_progress_artifact(percent, self._key, description)
            self._artifact = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(self._artifact, progress=percent, description=description)


def _name_in_run() -> str:
    """Return what the run calls this stage: the task run's name without the key."""
    return str(task_run.name).rsplit("-", 1)[0]


def _launch(stop: StopRequest, *, apart: bool, timeout_s: float | None, threads: object) -> Launch:
    """Return how the stage is called: in a process of its own, or in this one."""
    if apart or timeout_s is not None:
        log = get_run_logger()
        return StageProcess(stop, lambda line: log.info("%s", line), timeout_s=timeout_s)
    _use_threads(threads)
    return run_in_process


def _use_threads(threads: object) -> None:
    """Let the numerics of this process use so many threads."""
    if not isinstance(threads, int):
        return
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
