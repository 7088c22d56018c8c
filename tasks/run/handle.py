"""A stage that was submitted: what it is, what it waits for, how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from qsm_core.errors import StageError
from qsm_core.store.digests import digest_records
from qsm_core.store.explain import Verdict
from qsm_core.store.manifest import Manifest
from qsm_core.store.spec import StageDefinition, StageInput, StageSpec
from qsm_core.store.store import StageOutput
from tasks.plan.estimates import Estimate
from tasks.plan.work import Work
from tasks.run.spreading import EvaluationShards


class NotMadeError(StageError):
    """A stage has no output because one that it needs has none, or because it was only planned."""


class StoppedError(StageError):
    """A stage has no output because the whole run was stopped from outside."""


class LostWorkerError(StageError):
    """The worker under a stage is gone, for a reason that need not hold for another one."""


@dataclass(frozen=True)
class PlannedStage:
    """What a plan says of one stage.

    Args:
        name: The stage, as the flow calls it.
        stage: Name of its definition.
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


@dataclass(eq=False)
class StageHandle:
    """A submitted stage.

    Args:
        name: The stage, as the flow calls it.
        definition: What kind of stage it is.
        config: JSON values that change its output.
        inputs: By name, contents that exist or the stages that make them.
        runtime: What changes no result.
        force: Whether to make it again although it is there.
        start: Lets everything that was submitted begin.
        spread: How others can do its work, if they can.
        decided: Set once it is about to be queued, or is known never to be.
    """

    name: str
    definition: StageDefinition
    config: Mapping[str, Any]
    inputs: Mapping[str, StageInput | StageHandle | OutputPart]
    runtime: Mapping[str, Any]
    force: bool
    start: Callable[[], None]
    spread: EvaluationShards | None = None
    shards: tuple[StageHandle, ...] = ()
    spec: StageSpec | None = None
    verdict: Verdict | None = None
    task_run_id: UUID | None = None
    waits_for: tuple[str, ...] = ()
    decided: threading.Event = field(default_factory=threading.Event, repr=False)
    future: Future[StageOutput] = field(default_factory=Future, repr=False)

    def result(self) -> StageOutput:
        """Return the output, waiting for it.

        Raises:
            StageError: The stage failed or could not be started; says why.
        """
        self.start()
        return self.future.result()

    @property
    def needs(self) -> tuple[StageHandle, ...]:
        """The stages that this one takes inputs from, and those that do its work."""
        made = (
            value.stage if isinstance(value, OutputPart) else value
            for value in self.inputs.values()
        )
        stages = dict.fromkeys(one for one in made if isinstance(one, StageHandle))
        return (*stages, *self.shards)

    @property
    def error(self) -> BaseException | None:
        """Why the stage has no output; None while it runs and after it finished."""
        return self.future.exception() if self.future.done() else None

    @property
    def planned(self) -> PlannedStage:
        """What is known of the stage before it runs."""
        return PlannedStage(
            name=self.name,
            stage=self.definition.name,
            resource=self.definition.resource,
            needs=tuple(needed.name for needed in self.needs),
            verdict=self.verdict,
            waits_for=self.waits_for,
        )


@dataclass(frozen=True)
class OutputPart:
    """One file or folder that a stage makes, as the input of another.

    The other stage does not run because something else in the output is new, and cannot see it.

    Args:
        stage: Makes it.
        name: Of the file or folder, relative to the output.
    """

    stage: StageHandle
    name: str


def input_of(value: StageInput | StageHandle | OutputPart) -> StageInput:
    """Return an input with its digest; the stage that makes it has finished.

    Raises:
        StageError: The stage has not made the file or folder.
    """
    if isinstance(value, StageInput):
        return value
    if isinstance(value, StageHandle):
        return value.result().as_input()
    output = value.stage.result()
    digest = _part_digest(output.manifest, value.name)
    if digest is None:
        raise StageError(f"stage {value.stage.name} has made no {value.name}")
    return StageInput(output.path / value.name, digest)


def _part_digest(manifest: Manifest, name: str) -> str | None:
    """Return the digest of a file or of a folder of an output, None where there is none."""
    if name in manifest.files:
        return manifest.files[name].sha256
    below = {
        path.removeprefix(f"{name}/"): record
        for path, record in manifest.files.items()
        if path.startswith(f"{name}/")
    }
    return digest_records(below) if below else None
