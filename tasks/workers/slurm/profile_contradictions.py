"""What the values of a cluster profile say against each other, each of them right by itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from tasks.workers.slurm.profile_schema import ClusterProfile, ResourceClass
from tasks.workers.slurm.units import format_duration

FieldPath = tuple[str | int, ...]

_GPU_OPTIONS = ("--gpus", "-G", "--gpus-per-node", "--gpus-per-task", "--gpus-per-socket")
_NODES = ("--nodes", "-N")
# One task a job, which is the worker.
_TASK_OPTIONS = ("--ntasks-per-node", "--ntasks-per-core", "--ntasks-per-socket")
_REPEATABLE = ("--mail-type",)


def unknown_names(values: Any, stages: Collection[str] | None) -> Iterator[tuple[FieldPath, str]]:
    """Yield the stages and classes that are named and are not there.

    Args:
        values: The file as it was read, whether or not its fields are right.
        stages: Names of the stages that there are; None: these names are not checked.
    """
    if not isinstance(values, dict) or not isinstance(values.get("stages"), dict):
        return
    resources = values.get("resources")
    classes = list(resources) if isinstance(resources, dict) else []
    for name, override in values["stages"].items():
        if stages is not None and name not in stages:
            known = ", ".join(sorted(stages))
            yield ("stages", name), f"stages.{name}: no such stage; known stages: {known}"
        chosen = override.get("resource") if isinstance(override, dict) else None
        if isinstance(chosen, str) and classes and chosen not in classes:
            text = f"= {chosen!r}: no such class; classes of this profile: {', '.join(classes)}"
            yield ("stages", name, "resource"), f"stages.{name}.resource {text}"


def contradictions(profile: ClusterProfile) -> Iterator[tuple[FieldPath, str]]:
    """Yield the fields that cannot both hold, of classes and of the values for single stages."""
    for name, resource in profile.resources.items():
        for number, text in _of_directives(resource):
            yield ("resources", name, "directives", number), f"resources.{name}.directives {text}"
        limit = resource.walltime - resource.stop_margin
        if resource.timeout is not None and resource.timeout > limit:
            text = (
                f"= {format_duration(resource.timeout)}: no attempt can last so long; a job of "
                f"walltime {format_duration(resource.walltime)} stops its work after "
                f"{format_duration(limit)} (stop_margin)"
            )
            yield ("resources", name, "timeout"), f"resources.{name}.timeout {text}"
    for name, override in profile.stages.items():
        base = profile.resources.get(override.resource or "cpu")
        if base is None or override.walltime is None:
            continue
        if override.walltime < 2 * base.stop_margin:
            text = "is less than twice the stop_margin of its class"
            yield ("stages", name, "walltime"), f"stages.{name}.walltime {text}"


def _of_directives(resource: ResourceClass) -> Iterator[tuple[int, str]]:
    seen: dict[str, str] = {}
    for number, directive in enumerate(resource.directives):
        option, _, value = re.sub(r"\s+|=", " ", directive, count=1).partition(" ")
        if option in seen and option not in _REPEATABLE:
            yield number, f"= {directive!r}: {option} is given twice, before as {seen[option]!r}"
        seen.setdefault(option, directive)
        if option in _GPU_OPTIONS and "gpu" in (resource.gres or ""):
            yield number, f"= {directive!r}: gres = {resource.gres!r} asks for GPUs too; keep one"
        if option in _NODES and value.strip() not in ("1", "1-1"):
            yield number, f"= {directive!r}: a job is one worker on one node; leave it out"
        if option in _TASK_OPTIONS and value.strip() != "1":
            yield number, f"= {directive!r}: a job is one task, the worker; give cores instead"
