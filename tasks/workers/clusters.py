"""The Dask clusters of one run: each is made when the first stage needs it.

One `DaskTaskRunner` a pool, used as a context manager inside the flow. It belongs to no flow,
so a run can have several, each with its own kind of worker.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from dask.base import annotate
from distributed import Future
from prefect.tasks import Task
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from qsm_core.errors import StageError
from tasks.workers.errors import LostWorkerError, StoppedError
from tasks.workers.job import Job
from tasks.workers.memory_kills import MemoryKills
from tasks.workers.resources import AcquiredJob, JobPool, WorkerPool

# By whether the kernel counted a kill for lack of memory; None: it does not count them.
_END_OF_WORKER = {
    True: "its worker was killed because memory ran out; use fewer workers or a smaller batch",
    False: "its worker was killed from outside, or crashed; memory had not run out",
    None: "its worker was killed, or crashed",
}


@dataclass
class _OpenPool:
    """A pool in use: how many stages want it, and its Dask cluster once that is made."""

    wanted: int = 0
    stack: ExitStack = field(default_factory=ExitStack)
    runner: DaskTaskRunner | None = None
    jobs: JobPool | None = None


@dataclass(frozen=True)
class Place:
    """Where one stage runs: on any worker of a pool, or on the worker of one job."""

    runner: DaskTaskRunner
    job: AcquiredJob | None
    memory_kills: MemoryKills = field(default_factory=MemoryKills)

    def submit(
        self,
        task: Task[..., Any],
        parameters: dict[str, Any],
        dependencies: dict[str, Any],
    ) -> PrefectDaskFuture[Any]:
        """Queue a task here."""
        with self._on_its_worker():
            return self.runner.submit(task, parameters, dependencies=dependencies)

    def submit_function(self, function: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Queue a plain function here, which Prefect knows nothing of."""
        client: Any = self.runner.client  # has no types
        with self._on_its_worker():
            return cast("Future[Any]", client.submit(function, *arguments, pure=False))

    def _on_its_worker(self) -> AbstractContextManager[None]:
        workers = {} if self.job is None else {"workers": [self.job.address or ""]}
        return annotate(**workers)

    @property
    def description(self) -> str:
        """Number and node of the job; empty where there is none."""
        return "" if self.job is None else self.job.description

    def is_lost(self) -> bool:
        """Say whether the worker is gone although Dask may still wait for it."""
        return self.job is not None and self.job.is_lost()

    def loss_reason(self) -> StageError:
        """Return why the worker is gone."""
        if self.job is None:
            return LostWorkerError(_END_OF_WORKER[self.memory_kills.seen()])
        return self.job.loss_reason()

    def discard(self) -> None:
        """Let no further stage run here."""
        if self.job is not None:
            self.job.discard()


class Clusters:
    """Makes, shares and closes the pools of workers of one run."""

    def __init__(self) -> None:
        self._pools: dict[str, _OpenPool] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._opened: list[JobPool] = []
        # Their starts and stops are no news; a worker that dies is reported by its stage.
        logging.getLogger("distributed").setLevel(logging.ERROR)
        logging.getLogger("distributed.scheduler").setLevel(logging.CRITICAL)
        logging.getLogger("prefect.task_runner.dask").setLevel(logging.WARNING)

    def want(self, pool: WorkerPool) -> None:
        """Note that one more stage may need the pool."""
        with self._lock:
            self._pools.setdefault(pool.name, _OpenPool()).wanted += 1

    def release(self, pool: WorkerPool) -> None:
        """Note that a stage needs the pool no more; the last one may close it."""
        with self._lock:
            state = self._pools.get(pool.name)
            if state is None:  # everything was closed meanwhile
                return
            state.wanted -= 1
            closing = state.stack if pool.close_when_idle and state.wanted == 0 else None
            if closing is not None:
                state.stack, state.runner, state.jobs = ExitStack(), None, None
        if closing is not None:
            closing.close()

    @contextmanager
    def place(
        self, pool: WorkerPool, stage: str, on_wait: Callable[[str], None]
    ) -> Iterator[Place]:
        """Give a stage a place to run, making the cluster if there is none.

        Args:
            pool: Where it runs.
            stage: Its name.
            on_wait: Receives what is waited for, when that changes.

        Raises:
            StoppedError: The clusters were closed.
            StageError: The place cannot be had; see `JobPool.acquire` of `tasks.workers.slurm`.
        """
        with self._lock:
            if self._closed:
                raise StoppedError("the run was stopped")
            state = self._pools[pool.name]
            if state.runner is None:
                self._open(state, pool)
            runner, jobs = state.runner, state.jobs
        if runner is None:
            raise StoppedError("the run was stopped")
        if jobs is None:
            yield Place(runner, None)
            return
        with jobs.acquire(pool, stage, on_wait) as job:
            yield Place(runner, job)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every job that this run submitted, also those that have ended."""
        with self._lock:
            opened = [one for jobs in self._opened for one in jobs.records()]
        return tuple(sorted(opened, key=lambda job: int(job.job_id)))

    def close(self) -> None:
        """Close every cluster; what still runs there is stopped, and no further stage begins."""
        with self._lock:
            self._closed = True
            for jobs in self._opened:  # all at once, as each takes some time to end
                jobs.stop()
            for state in self._pools.values():
                state.stack.close()
            self._pools.clear()

    def _open(self, state: _OpenPool, pool: WorkerPool) -> None:
        runner = state.stack.enter_context(_task_runner(pool))
        client = runner.client  # makes the cluster: here, where one thread at a time can be
        if pool.open_job_pool is not None:
            state.jobs = pool.open_job_pool(client)
            self._opened.append(state.jobs)
            state.stack.callback(state.jobs.close)  # the jobs end before their scheduler does
        state.runner = runner


def _task_runner(pool: WorkerPool) -> DaskTaskRunner:
    def make_cluster() -> Any:  # a function, since Prefect asks for its name
        return pool.make_cluster()

    return DaskTaskRunner(cluster_class=make_cluster)
