"""A flow of four toy stages: two that count, one that adds them up, one that adds to the sum.

    left ---+
            +--- total --- final
    right --+

It stands in a module of its own because workers import it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import TaskRun

from qsm_core.store.spec import StageDefinition
from qsm_core.store.store import Store
from tasks.plan.planned import PlannedStage, plan_of
from tasks.run.events import StageEvent
from tasks.run.handle import OutputPart
from tasks.run.runner import StageRunner
from tasks.stage_task import Stage
from tasks.workers.local import LocalProfile, local_profile
from tasks.workers.resources import WorkerPool
from tests.support.toy_stages import count_stage, total_stage

CONFIG: dict[str, dict[str, Any]] = {
    "left": {"n": 2},
    "right": {"n": 3},
    "total": {},
    "final": {"plus": 10},
}


@dataclass
class Watch:
    """What was seen of a run in this process, and whether it has workers of its own."""

    own_workers: bool = False
    events: list[StageEvent] = field(default_factory=list)
    clusters: int = 0
    plan: tuple[PlannedStage, ...] = ()

    def kinds(self, name: str) -> list[str]:
        """What happened to one stage, in order."""
        return [event.kind for event in self.events if event.name == name]

    def verdict(self, name: str) -> str:
        """What was decided for one stage, in words."""
        verdicts = [event.verdict for event in self.events if event.name == name]
        return verdicts[-1].sentence if verdicts and verdicts[-1] else ""


WATCHES: list[Watch] = []


_SHARED: list[Any] = []


@contextmanager
def shared_worker() -> Iterator[None]:
    """Let runs in the block share a cluster of one worker: its start takes most of their time."""
    with local_profile(1, gpus=0).cpu.make_cluster() as cluster:
        _SHARED.append(cluster)
        try:
            yield
        finally:
            _SHARED.pop()


@dataclass(frozen=True)
class CountingProfile:
    """The local profile; counts the clusters that a run takes."""

    watch: Watch
    local: LocalProfile
    name: str = "local"

    def pool(self, definition: StageDefinition) -> WorkerPool:
        """Return the pool of the local profile."""
        pool = self.local.pool(definition)

        def make() -> Any:
            self.watch.clusters += 1
            if _SHARED and not self.watch.own_workers:
                return nullcontext(_SHARED[-1])  # the run leaves it open
            return pool.make_cluster()

        return WorkerPool(pool.name, make, pool.threads)


@flow(name="toys")
def toy_flow(
    store: str,
    package: str,
    config: dict[str, dict[str, Any]],
    runtime: dict[str, dict[str, Any]],
    force: list[str],
    plan_only: bool,
    interrupt: bool,
    workers: int,
) -> dict[str, int]:
    """Run the four stages."""
    watch = WATCHES[-1]
    count, total = count_stage(package), total_stage(package)
    profile = CountingProfile(watch, local_profile(workers, gpus=0))
    with StageRunner(
        Store(Path(store)),
        profile,
        on_event=watch.events.append,
        run_name="toys",
        plan_only=plan_only,
    ) as runner:

        def submit(stage: Stage, name: str, **inputs: Any) -> Any:
            values = {**CONFIG[name], **config.get(name, {})}
            return runner.submit(
                stage,
                stage.traits.config(**values),
                name=name,
                inputs=inputs,
                runtime=runtime.get(name, {}),
                force=name in force,
            )

        left, right = submit(count, "left"), submit(count, "right")
        added = submit(total, "total", a=left, b=right)
        final = submit(total, "final", a=OutputPart(added, "n.txt"))
        if plan_only:
            runner.wait()
            watch.plan = plan_of(runner.handles, profile, Store(Path(store)))
            return {}
        if interrupt:
            runner.start()
            while "running" not in watch.kinds("left"):
                time.sleep(0.1)
            raise KeyError("stop here")
        return {one.name: one.result().summary["n"] for one in (left, right, added, final)}


@dataclass(frozen=True)
class Ran:
    """How a run of the flow ended.

    Args:
        watch: What was seen in this process.
        error: What the flow raised.
        numbers: What it returned.
        task_runs: Prefect's task runs by the name of their stage.
        flow_run_id: Prefect's number of the run.
    """

    watch: Watch
    error: BaseException | None
    numbers: dict[str, int]
    task_runs: dict[str, TaskRun]
    flow_run_id: UUID

    def states(self) -> dict[str, str]:
        """Return the name of Prefect's state for each stage."""
        return {name: str(run.state_name) for name, run in self.task_runs.items()}

    def log(self) -> list[str]:
        """Return the lines that the server has of the run."""
        only = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[self.flow_run_id]))
        with get_client(sync_client=True) as client:
            return [entry.message for entry in client.read_logs(log_filter=only)]


def run_toys(store: Path, package: str, *, own_workers: bool = False, **options: Any) -> Ran:
    """Run the flow and read from the server how its task runs ended.

    Args:
        store: Root of the store.
        package: Name of the toy core.
        own_workers: Whether no worker is shared with other runs: a process that has imported the
            toys refuses to run them after an edit.
        options: Of the flow, where they are not the plain ones.
    """
    watch = Watch(own_workers or options.get("workers", 1) > 1)
    WATCHES.append(watch)
    defaults: dict[str, Any] = {
        "config": {},
        "runtime": {},
        "force": [],
        "plan_only": False,
        "interrupt": False,
        "workers": 1,
    }
    state: Any = toy_flow(str(store), package, **{**defaults, **options}, return_state=True)
    value = state.result(raise_on_failure=False)
    failed = isinstance(value, BaseException)
    return Ran(
        watch=watch,
        error=value if failed else None,
        numbers={} if failed else value,
        task_runs=_task_runs(state.state_details.flow_run_id),
        flow_run_id=state.state_details.flow_run_id,
    )


def _task_runs(flow_run_id: UUID) -> dict[str, TaskRun]:
    """Read the task runs of a flow run, once the server has heard how they ended."""

    def read() -> list[TaskRun]:
        with get_client(sync_client=True) as client:
            only = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
            return client.read_task_runs(flow_run_filter=only)

    _wait_until(lambda: all(run.state is not None and run.state.is_final() for run in read()))
    return {run.name.rpartition("-")[0]: run for run in read()}


def _wait_until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
