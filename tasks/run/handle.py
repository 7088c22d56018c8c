"""A submitted stage: what it is, what it waits for, how it ended."""

from __future__ import annotations

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
from tasks.stage_task import Stage

# Where a stage stands in the run: by its submission, a shard just before the stage it works for.
Place = tuple[int, int, int]


class NotMadeError(StageError):
    """A stage has no output because one that it needs has none, or because it was only planned."""


@dataclass(eq=False)
class StageHandle:
    """A submitted stage.

    Args:
        name: What the run calls it.
        place: Where it stands among the stages of the run.
        stage: What kind of stage it is.
        config: What changes its output.
        values: The same as JSON values.
        inputs: By name, contents that exist or the stages that make them.
        runtime: What changes no result.
        force: Whether to make it again although it is there.
        start: Lets everything that was submitted begin.
        num_shards: Over how many stages its work is spread, where it can be and has to be done.
        definition: That of the stage; its resource class changes where others did the work.
        shards: The stages that do its work.
        spec: Known once its inputs are there.
        verdict: Whether it is reused, or why it runs; known with the spec.
        task_run_id: Of Prefect, once there is one.
        waits_for: Names of the stages without which it could not be decided.
        future: Its output, or why there is none.
    """

    name: str
    place: Place
    stage: Stage
    config: Any
    values: Mapping[str, Any]
    inputs: Mapping[str, StageInput | StageHandle | OutputPart]
    runtime: Mapping[str, Any]
    force: bool
    start: Callable[[], None]
    num_shards: int
    definition: StageDefinition
    shards: tuple[StageHandle, ...] = ()
    spec: StageSpec | None = None
    verdict: Verdict | None = None
    task_run_id: UUID | None = None
    waits_for: tuple[str, ...] = ()
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
