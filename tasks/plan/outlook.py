"""What is told of a stage before it runs: its work, how long that may take, where it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qsm_core.evaluation.scoring.workload import count_clips
from qsm_core.store.spec import StageInput
from tasks.definitions import MAKE_CORPUS, SHARD_OF
from tasks.plan.estimates import Estimator
from tasks.plan.work import CountClips, Work, work_of
from tasks.run.handle import OutputPart, PlannedStage, StageHandle
from tasks.workers.resources import WorkerPool


def look_ahead(handle: StageHandle, pool: WorkerPool, estimator: Estimator) -> PlannedStage:
    """Return the plan of a stage with work, estimate and jobs; a reused one has none of them."""
    planned = handle.planned
    if planned.reuse:
        return planned
    work = _work(handle)
    known = {
        name: value.digest for name, value in handle.inputs.items() if isinstance(value, StageInput)
    }
    return replace(
        planned,
        work=work,
        estimate=estimator.estimate(handle.definition.name, known, work),
        jobs=pool.describe(),
        script=pool.job_script(),
    )


def _work(handle: StageHandle) -> Work:
    if handle.shards:
        return Work(0, note=f"takes the answers of {len(handle.shards)} shards")
    if handle.definition.name in SHARD_OF and handle.definition.resource == "cpu":
        return Work(0, note="its answers are known")
    return work_of(handle.definition.name, handle.config, _counter(handle))


def _counter(handle: StageHandle) -> CountClips:
    def count(name: str, split: str | None, conditions: Sequence[str] | str) -> int | None:
        value = handle.inputs.get(name)
        folder = _folder(value)
        if folder is not None:
            return count_clips(folder, split, conditions)
        stage = value.stage if isinstance(value, OutputPart) else value
        if isinstance(stage, StageHandle) and stage.definition.name == MAKE_CORPUS.name:
            return int(stage.config[f"{split}_clips"])
        return None

    return count


def _folder(value: StageInput | StageHandle | OutputPart | None) -> Path | None:
    """Return where an input is, None where it has yet to be made."""
    if value is None or isinstance(value, StageInput):
        return None if value is None else value.path
    stage = value.stage if isinstance(value, OutputPart) else value
    if stage.future.exception() is not None:  # it was only planned
        return None
    output = stage.result().path
    return output / value.name if isinstance(value, OutputPart) else output
