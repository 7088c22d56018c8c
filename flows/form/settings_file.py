"""Values of parameters from a YAML file: `--config FILE`.

The file is a mapping from the names of parameters to values, with `_` or `-` between words. A flag
wins over the file, the file over the preset and the defaults. A field that takes several names with
commas between takes a list as well, and one that takes NAME=VALUE a mapping.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from flows.form.validation import field_problems
from qsm_core.errors import ConfigurationError

_ALLOWED = "needed is a YAML file of lines such as `epochs: 3`"


@dataclass(frozen=True)
class SettingsFile:
    """What a file says.

    Attributes:
        values: By parameter.
        notes: What a reader should know of how the file was read.
    """

    values: Mapping[str, Any]
    notes: tuple[str, ...] = ()


# Reads the settings of another program; None where the file is none of its own.
Translation = Callable[[Mapping[str, Any], Path], SettingsFile | None]


def read_settings_file(
    path: Path, model: type[BaseModel], translation: Translation | None = None
) -> SettingsFile:
    """Read values of parameters from a file.

    Args:
        path: The file.
        model: The parameter model.
        translation: Tried first.

    Raises:
        ConfigurationError: The file cannot be read, names no parameter, or has a value that is not
            allowed; every problem is listed.
    """
    content = _content(path)
    found = translation(content, path) if translation is not None else None
    given = {str(name).replace("-", "_"): value for name, value in content.items()}
    read = SettingsFile(given) if found is None else found
    fields = model.model_fields
    problems = [_unknown(name, list(fields)) for name in read.values if name not in fields]
    values = {
        name: _as_field_has_it(value, model, name)
        for name, value in read.values.items()
        if name in fields and value is not None
    }
    problems += field_problems(model, values)
    if problems:
        raise ConfigurationError(f"--config {path} cannot be used", problems)
    return SettingsFile(values, read.notes)


def _content(path: Path) -> dict[Any, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"is not UTF-8: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _unreadable(path, f"is no YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _unreadable(path, f"holds a {type(content).__name__}")
    return content


def _unreadable(path: Path, problem: str) -> ConfigurationError:
    return ConfigurationError(
        "the file of --config cannot be read", [f"{path}: {problem}; {_ALLOWED}"]
    )


def _unknown(name: str, known: list[str]) -> str:
    similar = difflib.get_close_matches(name, known, n=3)
    there = f"similar ones: {', '.join(similar)}" if similar else f"there are: {', '.join(known)}"
    return f"{name}: there is no such parameter; {there}"


def _as_field_has_it(value: Any, model: type[BaseModel], name: str) -> Any:
    """Return a YAML value as a field takes it: numbers as words, lists as names with commas."""
    forms = [value]
    if isinstance(value, dict):
        forms.append([f"{key}={given}" for key, given in value.items()])
    elif isinstance(value, list):
        forms.append(",".join(map(str, value)))
    elif not isinstance(value, bool):
        forms += [str(value), [value]]
    allowed = (one for one in forms if not field_problems(model, {name: one}))
    return next(allowed, value)
