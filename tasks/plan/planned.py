"""The plan of a run: what happens to each stage, its work, how long it may take, where it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qsm_core.stage.workload import PlannedInput, Row, Work
from qsm_core.store.explain import Verdict
from qsm_core.store.spec import StageInput
from qsm_core.store.store import Store
from tasks.plan.estimates import Estimate, Estimator
from tasks.run.handle import OutputPart, StageHandle
from tasks.workers.resources import ResourceProfile, WorkerPool


@dataclass(frozen=True)
class PlannedStage:
    """What a plan says of one stage.

    Args:
        name: What the run calls it.
        stage: Name of the stage itself.
        resource: cpu or gpu.
        needs: Names of the stages that it takes inputs from.
        verdict: Whether it is reused or why it runs; None where that depends on the content of
            what has yet to be made.
        waits_for: Which stages have to be made first, if so.
        work: How much it has to do, where it runs.
        estimate: How long it may take, where it runs and has run before.
        jobs: Where it runs: the resource class, and what its jobs are.
        script: The script of such a job, where there are jobs.
    """

    name: str
    stage: str
    resource: str
    needs: tuple[str, ...]
    verdict: Verdict | None
    waits_for: tuple[str, ...]
    work: Work | None = None
    estimate: Estimate | None = None
    jobs: Mapping[str, object] = field(default_factory=dict)
    script: str | None = None

    @property
    def reuse(self) -> bool:
        """Whether it is known that the stage is reused."""
        return self.verdict is not None and self.verdict.reuse

    @property
    def sentence(self) -> str:
        """The plan for this stage in one line."""
        if self.verdict is not None:
            return self.verdict.sentence
        return f"is decided after {', '.join(self.waits_for)}"


@dataclass(frozen=True)
class Plan:
    """The plan of a run.

    Args:
        stages: In the order of the flow.
        tables: By title, what else a reader should know before the run begins.
        notes: The same in sentences, shown with every plan.
    """

    stages: tuple[PlannedStage, ...]
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def plan_of(
    handles: Sequence[StageHandle], profile: ResourceProfile, store: Store
) -> tuple[PlannedStage, ...]:
    """Return the plan of stages that a planning runner has decided.

    Args:
        handles: Of the runner, in the order of the flow.
        profile: Where the stages would run.
        store: Where earlier runs of them are.
    """
    estimator = Estimator(store)
    return tuple(planned(one, profile.pool(one.definition), estimator) for one in handles)


def planned(handle: StageHandle, pool: WorkerPool, estimator: Estimator) -> PlannedStage:
    """Return the plan of one stage; work, estimate and jobs only where it is not reused."""
    reused = handle.verdict is not None and handle.verdict.reuse
    work = None if reused else _work(handle)
    known = {
        name: value.digest for name, value in handle.inputs.items() if isinstance(value, StageInput)
    }
    return PlannedStage(
        name=handle.name,
        stage=handle.definition.name,
        resource=handle.definition.resource,
        needs=tuple(needed.name for needed in handle.needs),
        verdict=handle.verdict,
        waits_for=handle.waits_for,
        work=work,
        estimate=None if work is None else estimator.estimate(handle.stage, known, work),
        jobs={} if reused else pool.describe(),
        script=None if reused else pool.job_script(),
    )


def _work(handle: StageHandle) -> Work:
    if handle.shards:
        return Work(0, note=f"takes the results of {len(handle.shards)} shards")
    if handle.definition.resource != handle.stage.definition.resource:
        return Work(0, note="its results are known")
    inputs = {name: _planned_input(value) for name, value in handle.inputs.items()}
    return handle.stage.traits.work(handle.config, inputs)


def _planned_input(value: StageInput | StageHandle | OutputPart) -> PlannedInput:
    if isinstance(value, StageInput):
        return PlannedInput(value.path)
    stage = value.stage if isinstance(value, OutputPart) else value
    if stage.error is not None:  # it was only planned
        return PlannedInput(None, stage.config)
    output = stage.result().path
    path: Path = output / value.name if isinstance(value, OutputPart) else output
    return PlannedInput(path, stage.config)
