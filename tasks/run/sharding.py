"""Which shards a stage needs, and which parts of its work other outputs hold already.

A stage takes its parts from shards, from other stages of its kind, and from shards of these, as
long as they did the same work with the same code. So another number of shards, or other code of
what comes after the parts, does nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.store.closure import code_digests
from qsm_core.store.spec import StageInput, StageSpec, library_versions
from qsm_core.store.store import Store
from tasks.run.handle import StageHandle
from tasks.stage_task import Sharding


@dataclass(frozen=True)
class KnownParts:
    """Finished outputs that hold parts of the work of a stage.

    Args:
        folders: Where they are.
        complete: Whether nothing is left to do.
    """

    folders: tuple[Path, ...] = ()
    complete: bool = False


def shard_configs(
    handle: StageHandle,
    sharding: Sharding,
    inputs: Mapping[str, StageInput],
    known: KnownParts,
) -> Sequence[object]:
    """Return the configuration of each shard; none where one worker does it all."""
    if handle.num_shards <= 1:
        return ()
    return sharding.split(handle.config, _paths(inputs), known.folders, handle.num_shards)


def known_parts(
    store: Store,
    handle: StageHandle,
    sharding: Sharding,
    spec: StageSpec,
    inputs: Mapping[str, StageInput],
) -> KnownParts:
    """Look for finished outputs that hold parts of the work of a stage."""
    by = sharding.by.definition
    code = code_digests(sharding.answers, package_data=by.package_data)
    libraries = library_versions(by.libraries)
    folders = []
    complete = False
    for stage in (spec.stage, by.name):
        for manifest in store.manifests(stage):
            other = manifest.spec
            if (
                _same_work(spec, other, sharding)
                and _includes(other.code, code)
                and _includes(other.libraries, libraries)
                and store.find(other) is not None
            ):
                folders.append(store.layout.output(stage, other.key))
                whole = stage == spec.stage and not sharding.ignored_inputs
                complete = complete or whole
    if sharding.is_complete is not None:
        complete = complete or sharding.is_complete(handle.config, _paths(inputs), folders)
    return KnownParts(tuple(folders), complete)


def _paths(inputs: Mapping[str, StageInput]) -> dict[str, Path]:
    return {name: given.path for name, given in inputs.items()}


def _same_work(spec: StageSpec, other: StageSpec, sharding: Sharding) -> bool:
    return _kept(spec.inputs, sharding.ignored_inputs) == _kept(
        other.inputs, sharding.ignored_inputs
    ) and _kept(spec.config, sharding.ignored) == _kept(other.config, sharding.ignored)


def _kept(values: Mapping[str, Any], ignored: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ignored}


def _includes(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(found.get(name) == value for name, value in wanted.items())
