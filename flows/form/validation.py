"""Values into a parameter model; every wrong field is reported at once, in words."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from qsm_core.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def parse_model(model: type[Model], values: dict[str, Any]) -> Model:
    """Return `values` as a parameter model.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = list(_explain(error, model).values())
        raise ConfigurationError("the parameters cannot be used", problems) from error


def field_problems(model: type[BaseModel], values: dict[str, Any]) -> list[str]:
    """List what is wrong with some values of a parameter model, whatever else it needs."""
    try:
        model.model_validate(values)
    except ValidationError as error:
        told = _explain(error, model)
        return [problem for place, problem in told.items() if place[:1] and place[0] in values]
    return []


def _explain(error: ValidationError, model: type[BaseModel]) -> dict[tuple[int | str, ...], str]:
    """Describe each problem of a validation in one line: field, value, what is wrong."""
    lines = {}
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"]) or "parameters"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            text = f"{field}: there is no such parameter; there are: {known}"
        else:
            text = f"{field} = {problem['input']!r}: {problem['msg']}"
        lines[problem["loc"]] = text
    return lines
