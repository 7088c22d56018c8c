"""JSON Schema of a part: its check, and reasons made of what it finds."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry

from qsm_core.acceptance.answers.record import Breach, Part


def json_value(value: Any) -> Any:
    """Return YAML's values as JSON's: dates as ISO text, keys as text."""
    if isinstance(value, dt.date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(json_value(key)): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [json_value(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """Say why a schema is none; None for a right one."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path)) or "the schema"
        return f"{place}: {error.message}"
    return None


def schema_breach(part: Part, value: Any) -> Breach | None:
    """Return the first rule of a part's schema that a value breaks.

    Reasons are made of the place and the rule: fields_missing_total, fields_total_type.
    """
    if part.schema is None:
        return None
    # An empty registry: a schema that names another on the web must not be fetched.
    validator = Draft202012Validator(
        part.schema, format_checker=FormatChecker(), registry=Registry()
    )
    errors = sorted(validator.iter_errors(json_value(value)), key=_order)
    return _breach(part, errors[0]) if errors else None


def _order(error: ValidationError) -> tuple[int, list[str], str]:
    return len(error.absolute_path), [str(step) for step in error.absolute_path], error.message


def _breach(part: Part, error: ValidationError) -> Breach:
    steps = [str(step) for step in error.absolute_path]
    if error.validator == "required":
        present = error.instance if isinstance(error.instance, Mapping) else {}
        missing = [key for key in error.validator_value if key not in present]
        code = "_".join([part.name, *steps, "missing", missing[0]])
    else:
        code = "_".join([part.name, *steps, str(error.validator)])
    place = ".".join(steps)
    where = f"{part.name}.{place}" if place else part.name
    return Breach(code, f"{where}: {_short(error.message)}", part.name)


def _short(message: str, most: int = 200) -> str:
    return message if len(message) <= most else f"{message[: most - 3]}..."
