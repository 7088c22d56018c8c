"""The Dask clusters of one run: each is made when the first stage needs it.

One `DaskTaskRunner` a pool, used as a context manager inside the flow. It belongs to no flow,
so a run can have several, each with its own kind of worker.
"""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from dask.base import annotate
from prefect.tasks import Task
from prefect_dask.task_runners import DaskTaskRunner, PrefectDaskFuture

from tasks.handle import StoppedError
from tasks.resources import WorkerPool


@dataclass
class _OpenPool:
    """A pool that has been asked for: how many stages want it, and its runner once it is made."""

    wanted: int = 0
    stack: ExitStack = field(default_factory=ExitStack)
    runner: DaskTaskRunner | None = None


class Clusters:
    """Makes, shares and closes the pools of workers of one run."""

    def __init__(self) -> None:
        self._pools: dict[str, _OpenPool] = {}
        self._lock = threading.RLock()
        self._closed = False
        # What they say of starting and stopping is no news; a worker that dies is told below.
        logging.getLogger("distributed").setLevel(logging.ERROR)
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
                state.stack, state.runner = ExitStack(), None
        if closing is not None:
            closing.close()

    def submit(
        self,
        pool: WorkerPool,
        task: Task[..., Any],
        parameters: dict[str, Any],
        dependencies: dict[str, Any],
    ) -> PrefectDaskFuture[Any]:
        """Queue a task on the pool's workers, making the cluster if there is none.

        Raises:
            StoppedError: The clusters were closed.
        """
        with self._lock:
            if self._closed:
                raise StoppedError("the run was stopped")
            state = self._pools[pool.name]
            if state.runner is None:
                state.runner = state.stack.enter_context(_task_runner(pool))
            with ExitStack() as annotated:
                if pool.annotations:
                    annotated.enter_context(annotate(resources=dict(pool.annotations)))
                return state.runner.submit(task, parameters, dependencies=dependencies)

    def close(self) -> None:
        """Close every cluster; what still runs on it is stopped, and no more is taken."""
        with self._lock:
            self._closed = True
            for state in self._pools.values():
                state.stack.close()
            self._pools.clear()


def _task_runner(pool: WorkerPool) -> DaskTaskRunner:
    def make_cluster() -> Any:  # a function, since Prefect asks for its name
        return pool.make_cluster()

    return DaskTaskRunner(cluster_class=make_cluster)
