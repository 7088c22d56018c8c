"""The spec of a stage, and its key: the SHA-256 of everything that changes the output.

In the key: the stage and its schema version, the configuration, the content of the inputs, the
source of the reachable core modules, the versions of the libraries that change numbers. Not in
the key: paths, run ids, hosts, batch sizes, numbers of workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, cast

from qsm_core.errors import SpecError
from qsm_core.store.canonical import Json, digest_json, to_json
from qsm_core.store.closure import code_digests

# To be increased when the store itself changes what a key stands for.
STORE_FORMAT = 1
NOT_INSTALLED = "not installed"

Resource = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class StageDefinition:
    """What is the same for every run of a stage.

    Args:
        name: Name of the stage, a folder of the store: lower case, digits, underscores.
        schema: Version of the output's format; increase it to invalidate every older output.
        entry: Module with `run(context) -> dict`, such as "qsm_core.evaluation.scoring.evaluate".
        libraries: Distributions whose version changes numbers, such as "torch".
        resource: What the work needs; the cluster profile maps it to workers.
        walltime: Time limit of a job, as `HH:MM:SS`, in place of that of the resource class.
        memory: Memory of a job, as `48G`, in place of that of the resource class.
        package_data: Files that the code reads from its package, as globs relative to the folder
            that contains the package, such as "qsm_core/reporting/templates/*.html". They count
            as code.
        output: What a run calls the output, where it is of one run; a cluster profile may have
            values for it.
    """

    name: str
    schema: int
    entry: str
    libraries: tuple[str, ...] = ()
    resource: Resource = "cpu"
    package_data: tuple[str, ...] = ()
    walltime: str | None = None
    memory: str | None = None
    output: str | None = None


@dataclass(frozen=True)
class StageInput:
    """A file or folder that a stage reads, and the digest of its content."""

    path: Path
    digest: str


@dataclass(frozen=True)
class StageSpec:
    """Everything that changes the output of one stage; equal specs have equal outputs."""

    stage: str
    schema: int
    entry: str
    config: dict[str, Json]
    inputs: dict[str, str] = field(default_factory=dict)
    code: dict[str, str] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """The SHA-256 of the canonical text, in hexadecimal."""
        return digest_json({"store_format": STORE_FORMAT, **asdict(self)}, self.stage)

    @property
    def key8(self) -> str:
        """The first eight digits of the key, for display."""
        return self.key[:8]

    def to_json(self) -> dict[str, Json]:
        """Return the spec as JSON values."""
        return cast("dict[str, Json]", to_json(asdict(self), self.stage))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> StageSpec:
        """Read a spec back; the key is the same.

        Raises:
            SpecError: A field is missing or unknown.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise SpecError(f"this is not the spec of a stage: {error}") from error


def build_spec(
    definition: StageDefinition,
    config: Mapping[str, Any],
    inputs: Mapping[str, StageInput],
) -> StageSpec:
    """Resolve a stage to its spec: configuration, input contents, code, library versions.

    Args:
        definition: The stage.
        config: JSON values that change the output.
        inputs: By name, what the stage reads.

    Raises:
        SpecError: A value has no canonical form, or a module of the code is missing.
    """
    _check_name(definition.name)
    place = f"stage {definition.name}: config"
    return StageSpec(
        stage=definition.name,
        schema=definition.schema,
        entry=definition.entry,
        config=cast("dict[str, Json]", to_json(dict(config), place)),
        inputs={name: _input_digest(definition.name, name, inputs[name]) for name in inputs},
        code=code_digests(entry_of(definition.entry)[0], package_data=definition.package_data),
        libraries=library_versions(definition.libraries),
    )


def entry_of(entry: str) -> tuple[str, str]:
    """Return the module and the name of the function of an entry."""
    module, _, function = entry.partition(":")
    return module, function or "run"


def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed version of each distribution, without importing it."""
    return {name: _library_version(name) for name in sorted(names)}


@lru_cache(maxsize=256)  # reading a version takes as long as a small stage
def _library_version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return NOT_INSTALLED


def _check_name(name: str) -> None:
    if not name.isidentifier() or name != name.lower():
        raise SpecError(
            f"stage name {name!r}: it is a folder of the store; use lower-case letters, digits "
            "and underscores"
        )


def _input_digest(stage: str, name: str, given: StageInput) -> str:
    if not given.digest:
        raise SpecError(f"stage {stage}: input {name} ({given.path}) has no content digest")
    return given.digest
