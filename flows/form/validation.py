"""Values into a parameter model; every wrong field is reported at once, in words."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from qsm_core.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def parse_model(model: type[Model], values: dict[str, Any]) -> Model:
    """Return `values` as a parameter model.

    A text without a letter is refused: `--data "$CLIPS"` of a variable that is not set would
    otherwise mean a parameter that was left out. The form leaves out its empty boxes itself.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    blank = [name for name, value in values.items() if _holds_blank(value)]
    problems = [
        f"{name} = {values[name]!r}: empty; leave {name} out for its default (a shell variable "
        "that is not set looks like this)"
        for name in blank
    ]
    try:
        parameters = model.model_validate(values)
    except ValidationError as error:
        problems += _explain(error, model, but=blank)
        raise ConfigurationError("the parameters cannot be used", problems) from error
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    return parameters


def is_blank(value: object) -> bool:
    """Say whether a value is text of nothing but white space."""
    return isinstance(value, str) and not value.strip()


def _holds_blank(value: object) -> bool:
    return is_blank(value) or (isinstance(value, list) and any(map(is_blank, value)))


def _explain(error: ValidationError, model: type[BaseModel], *, but: Collection[str]) -> list[str]:
    """Describe each problem of a validation in one line: field, value, what is wrong."""
    lines = []
    for problem in error.errors():
        if problem["loc"][:1] and problem["loc"][0] in but:
            continue
        field = ".".join(str(part) for part in problem["loc"]) or "parameters"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(model.model_fields)
            lines.append(f"{field}: there is no such parameter; there are: {known}")
        else:
            lines.append(f"{field} = {problem['input']!r}: {problem['msg']}")
    return lines
