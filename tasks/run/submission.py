"""One stage on its way through Prefect: called here when it is reused, queued when it is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

import httpx
from distributed import KilledWorker
from prefect.client.schemas.objects import TaskRunResult
from prefect.exceptions import PrefectException
from prefect.task_engine import run_task_sync
from prefect.tasks import Task

from qsm_core.errors import InterruptedStageError, QsmError, StageError
from qsm_core.store.explain import Verdict
from qsm_core.store.spec import StageInput, StageSpec
from qsm_core.store.store import StageOutput, Store
from tasks.run.crashed import mark_crashed
from tasks.run.events import EventKind
from tasks.run.handle import StageHandle
from tasks.run.server import PrefectServer
from tasks.workers.call import StageCall
from tasks.workers.clusters import Clusters, Place
from tasks.workers.errors import LostWorkerError
from tasks.workers.resources import WorkerPool

# How often progress is looked for: soon after news, and more and more seldom without. Many stages
# may be waiting at once, and each look is a question to a shared file system.
_POLL_S = 0.3
_POLL_GROWTH = 1.5
_LONGEST_POLL_S = 2.0
_FETCH_S = 10.0
# A shared file system may show a new folder to another host with some delay.
_VISIBLE_WITHIN_S = 30.0


class Tell(Protocol):
    """Passes on what happens to a stage."""

    def __call__(
        self, handle: StageHandle, kind: EventKind, done: int = 0, total: int = 0, message: str = ""
    ) -> None:
        """Pass on one event."""


class _ServerLostError(Exception):
    """A task failed because the Prefect server is gone."""


@dataclass(frozen=True)
class _Attempt:
    """A stage that is queued in Dask.

    Args:
        dask_future: Of the work.
        result: Waits so many seconds for its end; raises what the stage raised, or TimeoutError.
        task_run_id: Its task run; None where it runs without Prefect.
    """

    dask_future: Any  # has no types
    result: Callable[[float], object]
    task_run_id: UUID | None


@dataclass(frozen=True)
class Submission:
    """What is needed to run or show one stage."""

    store: Store
    handle: StageHandle
    spec: StageSpec
    verdict: Verdict
    inputs: Mapping[str, StageInput]
    tell: Tell
    server: PrefectServer

    def show_reused(self) -> None:
        """Call the task here: the stage shows as `Cached`, by Prefect's record or a new one.

        Where the server is gone, nothing is shown.
        """
        if not self.server.answers():
            return
        try:
            self._show_reused()
        except (httpx.TransportError, PrefectException):
            if self.server.answers():
                raise

    def _show_reused(self) -> None:
        self.handle.task_run_id = uuid4()
        task = self._task(refresh_cache=False)
        # A task with tags asks for a slot of the limit on each, and could wait for one for hours.
        # On SQLite the question alone now and then fails, and is asked again after seconds.
        task.tags = set()
        run_task_sync(
            task,
            task_run_id=self.handle.task_run_id,
            parameters={"call": self._call(min_generation=1, reuse=True)},
            dependencies=self._dependencies(),
        )

    def run(self, clusters: Clusters, pool: WorkerPool) -> StageOutput:
        """Queue the task, follow its progress, and return the output.

        Raises:
            QsmError: As the stage raised it.
            StageError: The worker died, or the output cannot be seen from here.
        """
        self.store.announce(self.spec)
        generation = self.store.generation(self.spec) + 1 if self.handle.force else 1
        message, resubmitted = self.verdict.sentence, 0
        while True:
            self.tell(self.handle, "queued", message=message)
            try:
                return self._attempt(clusters, pool, generation)
            except (LostWorkerError, InterruptedStageError) as error:
                resubmitted += 1
                if resubmitted > pool.resubmissions:
                    raise _lost_too_often(error, pool) from error
                message = f"again ({resubmitted} of {pool.resubmissions} times), because {error}"
            except _ServerLostError:
                message = "again, without Prefect, whose server is gone"

    def _attempt(self, clusters: Clusters, pool: WorkerPool, generation: int) -> StageOutput:
        """Take a place, run the task there, and return the output."""

        def waiting(text: str) -> None:
            self.tell(self.handle, "queued", message=text)

        with clusters.place(pool, self.handle.name, waiting) as place:
            attempt = self._queue(place, generation)
            try:
                self._follow(attempt, place)
            except InterruptedStageError as error:
                place.discard()
                self._mark_crashed(attempt, f"it was asked to stop: {error}")
                raise
            except (KilledWorker, LostWorkerError) as error:
                place.discard()
                output = self.store.find(self.spec, min_generation=generation)
                if output is not None:  # it died after its work was done
                    return output
                reason = place.loss_reason()
                self._mark_crashed(attempt, str(reason))
                raise reason from error
            except QsmError:
                raise
            except Exception as error:
                # No stage raises this: it is Prefect's, which could not begin or end the task.
                if attempt.task_run_id is None or self.server.answers():
                    raise
                raise _ServerLostError(str(error)) from error
            return self._visible_output(generation)

    def _queue(self, place: Place, generation: int) -> _Attempt:
        """Queue the stage as its Prefect task, or as a plain call where the server is gone."""
        call = self._call(generation, reuse=False)
        if not self.server.answers():
            delays_s = self.handle.stage.retry_delay_seconds
            plain = place.submit_function(call.run_without_prefect, delays_s)
            return _Attempt(plain, lambda timeout_s: plain.result(timeout=timeout_s), None)
        future = place.submit(self._task(refresh_cache=True), {"call": call}, self._dependencies())
        self.handle.task_run_id = future.task_run_id
        return _Attempt(
            future.wrapped_future,
            lambda timeout_s: future.result(timeout=timeout_s),
            future.task_run_id,
        )

    def _follow(self, attempt: _Attempt, place: Place) -> None:
        """Wait for the task and pass on its progress; raise what it raised.

        Raises:
            KilledWorker: The worker is gone, according to Dask.
            LostWorkerError: It is gone, and Dask waits for it to come back.
        """
        done = threading.Event()
        attempt.dask_future.add_done_callback(lambda _: done.set())
        last = self.store.progress(self.spec)
        running, pause_s = False, _POLL_S
        while not done.wait(pause_s):
            pause_s = min(_POLL_GROWTH * pause_s, _LONGEST_POLL_S)
            if place.is_lost():
                attempt.dask_future.cancel()
                raise LostWorkerError(f"the worker in {place.description} is gone")
            now = self.store.progress(self.spec)
            if now is None or now == last:
                continue
            last, pause_s = now, _POLL_S
            if not running:
                running = True
                self._tell_running(place, now.message)
            if now.total:
                self.tell(self.handle, "progress", now.done, now.total, now.message)
        if not running:
            self._tell_running(place, "")
        self._fetch(attempt, place)

    def _fetch(self, attempt: _Attempt, place: Place) -> None:
        """Fetch how the task ended; raise what it raised. Only its worker knows that."""
        while True:
            try:
                attempt.result(_FETCH_S)
            except TimeoutError:
                if place.is_lost():
                    raise LostWorkerError(f"the worker in {place.description} is gone") from None
            else:
                return

    def _tell_running(self, place: Place, message: str) -> None:
        where = [part for part in (place.description, message) if part]
        self.tell(self.handle, "running", message=": ".join(where))

    def _mark_crashed(self, attempt: _Attempt, reason: str) -> None:
        if attempt.task_run_id is not None and self.server.answers():
            task = self._task(refresh_cache=True)
            mark_crashed(task, attempt.task_run_id, self._task_run_name, reason)

    def _visible_output(self, generation: int) -> StageOutput:
        deadline = time.monotonic() + _VISIBLE_WITHIN_S
        while True:
            output = self.store.find(self.spec, min_generation=generation)
            if output is not None:
                return output
            if time.monotonic() > deadline:
                raise StageError(
                    f"the worker has made {self.spec.stage} {self.spec.key8}, but it cannot be "
                    f"seen below {self.store.root}: do flow and workers share this folder?"
                )
            time.sleep(1.0)

    @property
    def _task_run_name(self) -> str:
        return f"{self.handle.name}-{self.spec.key8}"

    def _task(self, *, refresh_cache: bool) -> Task[..., Any]:
        """Return the stage's task under its name in the run, with its record in the store."""
        definition = self.handle.definition
        return self.handle.stage.with_options(
            task_run_name=self._task_run_name,
            tags={"qsm", definition.name, definition.resource},
            result_storage=self.store.layout.results,
            refresh_cache=refresh_cache,
        )

    def _call(self, min_generation: int, *, reuse: bool) -> StageCall:
        traits = self.handle.stage.traits
        return StageCall(
            name=self.handle.name,
            spec=self.spec.to_json(),
            key=self.spec.key,
            inputs={
                name: {"path": str(given.path), "digest": given.digest}
                for name, given in self.inputs.items()
            },
            runtime=dict(self.handle.runtime),
            store=str(self.store.root),
            min_generation=min_generation,
            reuse=reuse,
            page=traits.page,
            secret=traits.secret,
        )

    def _dependencies(self) -> dict[str, Any]:
        """Return the task runs that this one needs, for the graph of the run."""
        ids = (needed.task_run_id for needed in self.handle.needs)
        return {"call": {TaskRunResult(id=one) for one in ids if one is not None}}


def _lost_too_often(error: Exception, pool: WorkerPool) -> StageError:
    """Return the last error of a stage; it says how often the stage was tried again."""
    if not pool.resubmissions:
        return StageError(str(error))
    return StageError(
        f"given up after {pool.resubmissions} resubmissions (`resubmissions` of class "
        f"{pool.resource}); the last attempt ended because {error}"
    )
