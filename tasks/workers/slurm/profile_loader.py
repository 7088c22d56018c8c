"""Find and read cluster profiles; every mistake is told with its file, line, field and value."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from qsm_core.errors import ConfigurationError
from qsm_core.store.spec import StageDefinition
from tasks import definitions
from tasks.workers.slurm.profile_schema import ClusterProfile

LOCAL = "local"
SHIPPED = Path(__file__).resolve().parents[3] / "deployments" / "clusters"
STAGES = tuple(
    value.name for value in vars(definitions).values() if isinstance(value, StageDefinition)
)
_KEPT_TAGS = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:bool")

Place = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """Reads plain values as text: `12:00:00` is a time and no number, `027` is a umask."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as the base class has it)
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _KEPT_TAGS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def shipped_profiles() -> tuple[str, ...]:
    """Return the names of the profiles that come with qsm."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))


def find_profile(cluster: str) -> Path:
    """Return the file of a profile: a shipped one by its name, any other by its path.

    Raises:
        ConfigurationError: There is no such file.
    """
    path = Path(cluster).expanduser()
    if path.suffix in (".yaml", ".yml") or "/" in cluster:
        if path.is_file():
            return path.resolve()
        raise _unusable([f"cluster = {cluster!r}: there is no such file"])
    if cluster in shipped_profiles():
        return SHIPPED / f"{cluster}.yaml"
    known = ", ".join((LOCAL, *shipped_profiles()))
    raise _unusable(
        [f"cluster = {cluster!r}: there is no such profile; there are: {known}, or give the path "
         "of a YAML file"]
    )  # fmt: skip


def load_profile(cluster: str, *, stages: Collection[str] = STAGES) -> ClusterProfile:
    """Read and check a profile.

    Args:
        cluster: Name of a shipped profile, or a path.
        stages: Names of the stages that a profile may speak of.

    Raises:
        ConfigurationError: Names everything that is wrong in it.
    """
    path = find_profile(cluster)
    text = path.read_text()
    try:
        root = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise _unusable([f"{path}: this is no YAML: {_in_one_line(str(error))}"]) from error
    lines = dict(_lines(root)) if root is not None else {}
    problems = [f"{path}, line {line}: {name} is given twice" for name, line in _twice(root)]
    try:
        profile = ClusterProfile.model_validate({} if values is None else values)
    except ValidationError as error:
        told = [_explain(one, values) for one in error.errors()]
        problems += [f"{path}, {_line_of(lines, place)}: {text}" for place, text in told]
        raise _unusable(problems) from error
    problems += [
        f"{path}, {_line_of(lines, place)}: {text}" for place, text in _loose_ends(profile, stages)
    ]
    if problems:
        raise _unusable(problems)
    return profile


def _unusable(problems: list[str]) -> ConfigurationError:
    return ConfigurationError("the cluster profile cannot be used", problems)


def _loose_ends(profile: ClusterProfile, stages: Collection[str]) -> Iterator[tuple[Place, str]]:
    """Tell what the overrides name that is not there."""
    for name, override in profile.stages.items():
        if name not in stages:
            known = ", ".join(sorted(stages))
            yield ("stages", name), f"stages.{name}: there is no such stage; there are: {known}"
        if override.resource is not None and override.resource not in profile.resources:
            known = ", ".join(profile.resources)
            text = f"= {override.resource!r}: there is no such class; there are: {known}"
            yield ("stages", name, "resource"), f"stages.{name}.resource {text}"
            continue
        base = profile.resources[override.resource or "cpu"]
        if override.walltime is not None and override.walltime < 2 * base.stop_margin:
            text = "is less than twice the stop_margin of its class"
            yield ("stages", name, "walltime"), f"stages.{name}.walltime {text}"


def _explain(problem: Any, values: Any) -> tuple[Place, str]:
    """Return where a problem is, and what it is, in words."""
    place: Place = tuple(part for part in problem["loc"] if part != "[key]")
    name = ".".join(str(part) for part in place) or "the file"
    if problem["type"] == "extra_forbidden":
        return place, f"{name}: there is no such field; there are: {', '.join(_known(place))}"
    if problem["type"] == "missing":
        return place, f"{name} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and isinstance(problem["input"], dict | BaseModel):
        return place, message if name == "the file" else f"{name}: {message}"
    if problem["type"] == "model_type":
        return place, f"{name} = {values if not place else problem['input']!r}: fields are needed"
    return place, f"{name} = {problem['input']!r}: {message}"


def _known(place: Place) -> list[str]:
    """Return the names of the fields that stand beside the one at `place`."""
    model: type[BaseModel] = ClusterProfile
    inside: Any = model
    for part in place[:-1]:
        fields = getattr(inside, "model_fields", None)
        inside = fields[part].annotation if fields is not None else inside
        if get_origin(inside) in (Union, UnionType):
            inside = next(one for one in get_args(inside) if one is not type(None))
        elif fields is None and get_origin(inside) is dict:
            inside = get_args(inside)[1]
    return list(inside.model_fields)


def _lines(node: yaml.Node, place: Place = ()) -> Iterator[tuple[Place, int]]:
    """Yield the line of everything in the file."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*place, key.value), key.start_mark.line + 1
            yield from _lines(value, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*place, number), value.start_mark.line + 1
            yield from _lines(value, (*place, number))


def _twice(node: yaml.Node | None, inside: str = "") -> Iterator[tuple[str, int]]:
    """Yield the keys that YAML would silently overwrite."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        name = f"{inside}{key.value}"
        if name in seen:
            yield name, key.start_mark.line + 1
        seen.add(name)
        yield from _twice(value, f"{name}.")


def _line_of(lines: dict[Place, int], place: Place) -> str:
    """Return the line of a place, or of the nearest one around it."""
    while place and place not in lines:
        place = place[:-1]
    return f"line {lines[place]}" if place else "line 1"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
