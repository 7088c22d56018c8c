"""The fields of a cluster profile: what a SLURM cluster offers to each class of stages.

A profile is a YAML file; `deployments/clusters/` has examples to copy. `profile_loader` reads one
and reports its mistakes.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qsm_core.store.spec import StageDefinition
from tasks.workers.slurm.profile_values import (
    MEMORY_FLAGS,
    WHOLE_NODE,
    Directive,
    Duration,
    Memory,
    SharedPath,
    Umask,
    Word,
    option_of,
)
from tasks.workers.slurm.units import format_duration, format_memory, parse_duration, parse_memory


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ResourceClass(_Strict):
    """What one job of a class asks SLURM for, and how qsm uses such jobs."""

    partition: Word | None = Field(None, description="Partition of SLURM. Empty: the site's.")
    walltime: Duration = Field(description="Longest time of one job.")
    cores: int = Field(ge=1, le=1024, description="Cores of one job.")
    memory: Memory | None = Field(
        None,
        description="Memory of one job; 0: all of the node. Empty: what the site gives, or "
        "--mem-per-cpu among the directives.",
    )
    account: Word | None = Field(None, description="Account that is charged.")
    qos: Word | None = Field(None, description="Quality of service.")
    gres: Word | None = Field(None, description="Generic resources, such as gpu:1.")
    constraint: Word | None = Field(None, description="Features that a node must have.")
    exclude: Word | None = Field(None, description="Nodes that are not used.")
    directives: tuple[Directive, ...] = Field((), description="Further options of sbatch.")
    environment: tuple[str, ...] = Field((), description="Lines run before the worker starts.")
    max_jobs: int = Field(1, ge=1, le=1000, description="Jobs of this class at the same time.")
    subprocess: bool = Field(False, description="Run each stage in a process of its own.")
    timeout: Duration | None = Field(
        None, description="Longest time of one attempt at a stage, which then fails."
    )
    stop_margin: Duration = Field(300, description="Time before the walltime at which work stops.")
    resubmissions: int = Field(
        5, ge=0, le=1000, description="How often one stage gets another job after it lost one."
    )
    pending_limit: Duration | None = Field(
        None, description="Longest wait for SLURM to start a job. Empty: no limit."
    )
    keep_idle: Duration = Field(60, description="How long a job is kept for the next stage.")

    @model_validator(mode="after")
    def _margin_leaves_time(self) -> Self:
        if 2 * self.stop_margin > self.walltime:
            raise ValueError(
                f"stop_margin {format_duration(self.stop_margin)} leaves too little of walltime "
                f"{format_duration(self.walltime)}; it can be at most half of it"
            )
        return self

    @model_validator(mode="after")
    def _memory_is_said_once(self) -> Self:
        given = [] if self.memory is None else [f"memory {self.memory_text}"]
        given += [f"directive {one}" for one in self.memory_directives]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)}: SLURM takes one of them; remove the others")
        return self

    @property
    def memory_directives(self) -> tuple[str, ...]:
        """The directives that say how much memory a job gets for each core or GPU."""
        return tuple(one for one in self.directives if option_of(one) in MEMORY_FLAGS)

    @property
    def memory_text(self) -> str:
        """Memory of a job in SLURM's notation; empty where the site decides."""
        if self.memory is None:
            return " ".join(self.memory_directives)
        return "0" if self.memory == WHOLE_NODE else format_memory(self.memory)

    @property
    def partition_text(self) -> str:
        """The partition, for messages."""
        return f"partition {self.partition or 'of the site'}"

    def has_room_for(self, other: ResourceClass) -> bool:
        """Say whether its jobs have the cores and the memory that another class needs."""
        if self.cores < other.cores:
            return False
        if self.memory is None or other.memory is None:  # how much a site gives is not known
            return self.memory_text == other.memory_text
        if WHOLE_NODE in (self.memory, other.memory):
            return self.memory == WHOLE_NODE
        return self.memory >= other.memory

    @property
    def gpus(self) -> int:
        """How many GPUs one job has."""
        found = [re.fullmatch(r"gpu(?::[^:,(]+)?(?::(\d+))?(?:\(.*\))?", part)
                 for part in (self.gres or "").split(",")]  # fmt: skip
        return sum(int(one[1] or 1) for one in found if one)

    def facts(self) -> dict[str, object]:
        """Return what the plan shows."""
        return {
            "partition": self.partition or "",
            "walltime": format_duration(self.walltime),
            "memory": self.memory_text,
            "cores": self.cores,
            "gres": self.gres or "",
            "gpus": self.gpus,
            "max_jobs": self.max_jobs,
        }


class StageOverride(_Strict):
    """Values for one stage that replace those of its class."""

    resource: str | None = Field(None, description="Resource class of this profile.")
    walltime: Duration | None = Field(None, description="Longest time of one job.")
    memory: Memory | None = Field(None, description="Memory of one job.")


class ClusterProfile(_Strict):
    """One SLURM cluster, as its users see it."""

    description: str = Field("", description="For people.")
    scratch: SharedPath | None = Field(
        None, description="Folder that all nodes share, for small files of a run. Empty: the store."
    )
    logs: SharedPath | None = Field(None, description="Folder of the jobs' logs. Empty: scratch.")
    interface: Word | None = Field(None, description="Network interface of the nodes.")
    flow_interface: Word | None = Field(
        None, description="Network interface of the flow's host. Empty: `interface`."
    )
    python: Word | None = Field(None, description="Python of the jobs. Empty: the flow's.")
    umask: Umask | None = Field(None, description="File mode mask of flow and jobs, such as 027.")
    group: Word | None = Field(None, description="Group that the store's files belong to.")
    environment: tuple[str, ...] = Field((), description="Lines run in every job, before its own.")
    resources: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")], ResourceClass] = (
        Field(description="Resource classes; cpu and gpu are needed.")
    )
    stages: dict[str, StageOverride] = Field(
        default_factory=dict, description="Values for single stages."
    )

    @model_validator(mode="after")
    def _classes_are_there(self) -> Self:
        missing = [name for name in ("cpu", "gpu") if name not in self.resources]
        if missing:
            raise ValueError(
                f"resources has no class {' and no class '.join(missing)}; every stage needs one "
                "of the two (without GPUs, give gpu the values of cpu)"
            )
        return self

    def request(self, definition: StageDefinition) -> tuple[str, ResourceClass]:
        """Return the class that serves a stage, and what its job asks for.

        The profile's values for the stage override its definition's, which override the class's.
        """
        override = self.stages.get(definition.name)
        name = override.resource if override and override.resource else definition.resource
        of_class = self.resources[name]
        changes: dict[str, Any] = {}
        if definition.walltime:
            changes["walltime"] = parse_duration(definition.walltime)
        if definition.memory and not of_class.memory_directives:
            changes["memory"] = parse_memory(definition.memory)
        if override and override.walltime:
            changes["walltime"] = override.walltime
        if override and override.memory is not None:
            by_core = of_class.memory_directives
            changes["memory"] = override.memory
            changes["directives"] = tuple(one for one in of_class.directives if one not in by_core)
        return name, of_class.model_copy(update=changes)
