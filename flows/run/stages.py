"""The stages of one run as a flow submits them: forced by name, found again by role."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from flows.run.settings import RunSettings
from qsm_core.errors import ConfigurationError
from qsm_core.stage.workload import Row
from qsm_core.store.spec import StageInput
from qsm_core.store.store import StageOutput, Store
from tasks.run.handle import NotMadeError, StageHandle
from tasks.run.runner import Input, StageRunner
from tasks.stage_task import Stage


class Role(Protocol):
    """What the output of a stage is to its run; a frozen dataclass of the system."""

    @property
    def name(self) -> str:
        """What the run calls it; no other role of the run has the same name."""

    @property
    def other_names(self) -> tuple[str, ...]:
        """Further names by which `force` means it."""

    @property
    def links(self) -> tuple[str, ...]:
        """Where the results show it, relative to their folder; empty: nowhere."""


@dataclass(frozen=True)
class NamedRole:
    """A role that is known by its name alone; the results show it under the same name."""

    name: str

    @property
    def other_names(self) -> tuple[str, ...]:
        """There are none."""
        return ()

    @property
    def links(self) -> tuple[str, ...]:
        """Where the results show it."""
        return (self.name,)


class RunStages:
    """Submits stages to a runner, which plans them or runs them."""

    def __init__(self, settings: RunSettings, store: Store, runner: StageRunner) -> None:
        """Submit nothing yet.

        Args:
            settings: Of the run.
            store: Where outputs are, and inputs are digested.
            runner: Takes the stages.
        """
        self.store = store
        self.by_role: dict[Role, StageHandle] = {}
        # By title, rows that a plan shows beside its stages.
        self.tables: dict[str, Sequence[Row]] = {}
        # What a reader of the plan should know, one sentence each.
        self.notes: list[str] = []
        self._force = frozenset(settings.force)
        self._runner = runner
        self._stages: set[str] = set()

    def submit(
        self,
        stage: Stage,
        config: object,
        *,
        role: Role,
        inputs: Mapping[str, Input] | None = None,
        runtime: Mapping[str, Any] | None = None,
        num_shards: int = 1,
    ) -> StageHandle:
        """Submit one stage; see `StageRunner.submit`."""
        handle = self._runner.submit(
            stage,
            config,
            name=role.name,
            inputs=inputs,
            runtime=runtime,
            force=not self._force.isdisjoint((role.name, stage.name, *role.other_names)),
            num_shards=num_shards,
        )
        self.by_role[role] = handle
        self._stages |= {role.name, stage.name, *role.other_names}
        return handle

    def digest(self, path: Path | str) -> StageInput:
        """Return a file or folder of the user as an input, by its content.

        Raises:
            StoreError: It is missing, or changed while it was read.
        """
        return self.store.digest(Path(path).expanduser().resolve())

    def finished(self, handle: StageHandle) -> StageOutput | None:
        """Return the output of a stage, made now; None in a plan where it has yet to be made.

        Raises:
            StageError: The stage failed; says why.
        """
        try:
            return handle.result()
        except NotMadeError:
            return None

    def check_force(self) -> None:
        """Refuse names in `force` that no stage of the run has.

        Raises:
            ConfigurationError: Lists them, and the names that there are.
        """
        unknown = sorted(self._force - self._stages)
        if unknown:
            known = ", ".join(role.name for role in self.by_role)
            problems = [
                f"force = {name!r}: no stage of this run has this name; there are: {known}"
                for name in unknown
            ]
            raise ConfigurationError("the parameters cannot be used", problems)
