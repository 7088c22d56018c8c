"""The fields of a cluster profile: what a SLURM cluster offers to each class of stages.

A profile is a YAML file; `deployments/clusters/` has examples to copy. `profile_loader` reads one
and reports its mistakes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from qsm_core.store.spec import StageDefinition
from tasks.workers.slurm.units import format_duration, format_memory, parse_duration, parse_memory

# Set by qsm for every job; a profile that set them too would break what relies on them.
_OURS = (
    "--job-name", "-J", "--output", "-o", "--error", "-e", "--comment", "--requeue", "--no-requeue",
    "--array", "-a", "--wrap", "--parsable", "--ntasks", "-n", "--export", "--signal",
)  # fmt: skip
_FIELD_OF_FLAG = {
    "--partition": "partition", "-p": "partition", "--account": "account", "-A": "account",
    "--qos": "qos", "-q": "qos", "--time": "walltime", "-t": "walltime", "--mem": "memory",
    "--cpus-per-task": "cores", "-c": "cores", "--gres": "gres", "--constraint": "constraint",
    "-C": "constraint", "--exclude": "exclude", "-x": "exclude",
}  # fmt: skip


def _one_word(text: object) -> object:
    if isinstance(text, str) and (not text.strip() or re.search(r"\s", text)):
        raise ValueError("write one word without spaces")
    return text


def _directive(text: object) -> object:
    """Reject a directive that would break the script, or for which there is a field."""
    if not isinstance(text, str):
        return text
    flag = re.split(r"[=\s]", text.strip(), maxsplit=1)[0]
    if not flag.startswith("-") or "\n" in text:
        raise ValueError("write one option of sbatch, such as --reservation=course")
    if flag in _OURS:
        raise ValueError(f"{flag} is set by qsm itself")
    if flag in _FIELD_OF_FLAG:
        raise ValueError(f"use the field {_FIELD_OF_FLAG[flag]} instead of {flag}")
    return text.strip()


def _umask(text: object) -> object:
    if text is not None and not re.fullmatch(r"0?[0-7]{3}", str(text)):
        raise ValueError("write a umask as three octal digits, such as 077 or 027")
    return text


def _path(text: object) -> object:
    """Expand `~` and `$NAME`; a variable that is not set is an error, not a folder `$NAME`."""
    if not isinstance(text, str):
        return text
    filled = os.path.expandvars(text)
    if "$" in filled:
        raise ValueError("it contains a variable that is not set")
    path = Path(filled).expanduser()
    if not path.is_absolute():
        raise ValueError("write an absolute path; ~ and $NAME are expanded")
    return path


Duration = Annotated[int, BeforeValidator(parse_duration)]
Memory = Annotated[int, BeforeValidator(parse_memory)]
Word = Annotated[str, BeforeValidator(_one_word)]
Directive = Annotated[str, BeforeValidator(_directive)]
SharedPath = Annotated[Path, BeforeValidator(_path)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ResourceClass(_Strict):
    """What one job of a class asks SLURM for, and how qsm uses such jobs."""

    partition: Word = Field(description="Partition of SLURM.")
    walltime: Duration = Field(description="Longest time of one job.")
    cores: int = Field(ge=1, le=1024, description="Cores of one job.")
    memory: Memory = Field(description="Memory of one job.")
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

    @property
    def gpus(self) -> int:
        """How many GPUs one job has."""
        found = [re.fullmatch(r"gpu(?::[^:,(]+)?(?::(\d+))?(?:\(.*\))?", part)
                 for part in (self.gres or "").split(",")]  # fmt: skip
        return sum(int(one[1] or 1) for one in found if one)

    def facts(self) -> dict[str, object]:
        """Return what the plan shows."""
        return {
            "partition": self.partition,
            "walltime": format_duration(self.walltime),
            "memory": format_memory(self.memory),
            "cores": self.cores,
            "gres": self.gres or "",
            "gpus": self.gpus,
            "max_jobs": self.max_jobs,
        }


class StageOverride(_Strict):
    """Values for one stage, or one output of a run, that replace those of its class."""

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
    umask: Annotated[str | None, BeforeValidator(_umask)] = Field(
        None, description="File mode mask of flow and jobs, such as 027."
    )
    group: Word | None = Field(None, description="Group that the store's files belong to.")
    environment: tuple[str, ...] = Field((), description="Lines run in every job, before its own.")
    resources: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")], ResourceClass] = (
        Field(description="Resource classes; cpu and gpu are needed.")
    )
    stages: dict[str, StageOverride] = Field(
        default_factory=dict, description="Values for single stages."
    )
    outputs: dict[str, StageOverride] = Field(
        default_factory=dict,
        description="Values for single outputs of a run, by the names that its plan shows.",
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

        The profile's values for the output override those for its stage, which override its
        definition's, which override the class's.
        """
        name: str = definition.resource
        changes: dict[str, int] = {}
        if definition.walltime:
            changes["walltime"] = parse_duration(definition.walltime)
        if definition.memory:
            changes["memory"] = parse_memory(definition.memory)
        of_output = self.outputs.get(definition.output or "")
        for override in filter(None, (self.stages.get(definition.name), of_output)):
            name = override.resource or name
            given = {"walltime": override.walltime, "memory": override.memory}
            changes |= {field: value for field, value in given.items() if value}
        return name, self.resources[name].model_copy(update=changes)
