"""Find and read cluster profiles; each mistake is reported with file, line, field and value."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from qsm_core.errors import ConfigurationError
from tasks.workers.slurm.profile_contradictions import FieldPath, contradictions, unknown_names
from tasks.workers.slurm.profile_schema import ClusterProfile

LOCAL = "local"
SHIPPED = Path(__file__).resolve().parents[3] / "deployments" / "clusters"
_KEPT_TAGS = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:bool")


class _Loader(yaml.SafeLoader):
    """Reads plain values as text: `12:00:00` is a duration, not a number; `027` is a umask."""

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
        ConfigurationError: There is no such file or profile.
    """
    path = Path(cluster).expanduser()
    if path.suffix in (".yaml", ".yml") or "/" in cluster:
        if path.is_file():
            return path.resolve()
        raise _error([f"cluster = {cluster!r}: no such file"])
    if cluster in shipped_profiles():
        return SHIPPED / f"{cluster}.yaml"
    known = ", ".join((LOCAL, *shipped_profiles()))
    raise _error(
        [f"cluster = {cluster!r}: no such profile; use one of {known}, or the path of a YAML file"]
    )


def load_profile(cluster: str, *, stages: Collection[str] | None = None) -> ClusterProfile:
    """Read and check a profile.

    Args:
        cluster: Name of a shipped profile, or a path.
        stages: Names of the stages that there are; None: these names are not checked.

    Raises:
        ConfigurationError: Lists every mistake in it.
    """
    path = find_profile(cluster)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _error([f"{path}: {error}; needed is a YAML file in UTF-8"]) from error
    try:
        root = yaml.compose(text, Loader=_Loader)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except yaml.YAMLError as error:
        raise _error([f"{path}: not valid YAML: {_in_one_line(str(error))}"]) from error
    lines = dict(_lines(root)) if root is not None else {}
    problems = [f"{path}, line {line}: {name} is given twice" for name, line in _duplicates(root)]
    found = list(unknown_names(values, stages))
    try:
        profile = ClusterProfile.model_validate({} if values is None else values)
    except ValidationError as error:
        found += [_explain(one, values) for one in error.errors()]
        problems += [f"{path}, {_line_of(lines, field)}: {text}" for field, text in found]
        raise _error(problems) from error
    found += contradictions(profile)
    problems += [f"{path}, {_line_of(lines, field)}: {text}" for field, text in found]
    if problems:
        raise _error(problems)
    return profile


def _error(problems: list[str]) -> ConfigurationError:
    return ConfigurationError("the cluster profile cannot be used", problems)


def _explain(problem: Any, values: Any) -> tuple[FieldPath, str]:
    """Return where a problem of pydantic is, and what it is."""
    field: FieldPath = tuple(part for part in problem["loc"] if part != "[key]")
    name = ".".join(str(part) for part in field) or "the file"
    if problem["type"] == "extra_forbidden":
        return field, f"{name}: no such field; known fields: {', '.join(_field_names(field))}"
    if problem["type"] == "missing":
        return field, f"{name} is missing"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error" and isinstance(problem["input"], dict | BaseModel):
        return field, message if name == "the file" else f"{name}: {message}"
    if problem["type"] == "model_type":
        value = problem["input"] if field else values
        return field, f"{name} = {value!r}: expected fields with values"
    return field, f"{name} = {problem['input']!r}: {message}"


def _field_names(field: FieldPath) -> list[str]:
    """Return the names of all fields of the model that `field` is in."""
    model: type[BaseModel] = ClusterProfile
    inside: Any = model
    for part in field[:-1]:
        fields = getattr(inside, "model_fields", None)
        inside = fields[part].annotation if fields is not None else inside
        if get_origin(inside) in (Union, UnionType):
            inside = next(one for one in get_args(inside) if one is not type(None))
        elif fields is None and get_origin(inside) is dict:
            inside = get_args(inside)[1]
    return list(inside.model_fields)


def _lines(node: yaml.Node, field: FieldPath = ()) -> Iterator[tuple[FieldPath, int]]:
    """Yield the line of each field in the file."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*field, key.value), key.start_mark.line + 1
            yield from _lines(value, (*field, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield (*field, number), value.start_mark.line + 1
            yield from _lines(value, (*field, number))


def _duplicates(node: yaml.Node | None, inside: str = "") -> Iterator[tuple[str, int]]:
    """Yield the keys that are given twice, which YAML would overwrite silently."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        name = f"{inside}{key.value}"
        if name in seen:
            yield name, key.start_mark.line + 1
        seen.add(name)
        yield from _duplicates(value, f"{name}.")


def _line_of(lines: dict[FieldPath, int], field: FieldPath) -> str:
    """Return the line of a field, or of the nearest one around it."""
    while field and field not in lines:
        field = field[:-1]
    return f"line {lines[field]}" if field else "line 1"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
