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
        problems = _explain(error, model)
        raise ConfigurationError("the parameters cannot be used", problems) from error


def _explain(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Describe each problem of a validation in one line: field, value, what is wrong."""
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"]) or "parameters"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            lines.append(f"{field}: there is no such parameter; there are: {known}")
        else:
            lines.append(f"{field} = {problem['input']!r}: {problem['msg']}")
    return lines
