"""Give a flow the fields of its parameter model as flat arguments.

`prefect deployment run --param seed=7` and the form of the UI want one argument a parameter; the
code wants one validated object. `flat_parameters` shows the first and passes the second.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import MISSING, BaseModel
from pydantic_core import PydanticUndefined

from flows.form.fields import form_arguments


def model_arguments(model: type[BaseModel]) -> list[inspect.Parameter]:
    """Return one keyword argument for each field of `model`, with its constraints."""
    arguments = []
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        if field.metadata:
            annotation = Annotated[(annotation, *field.metadata)]
        default = field.get_default(call_default_factory=True)
        arguments.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if default is PydanticUndefined else default,
                annotation=annotation,
            )
        )
    return arguments


def flat_parameters(
    model: type[BaseModel],
    parse: Callable[[dict[str, Any]], Any],
    groups: Mapping[str, str] = {},
) -> Callable[[Callable[[Any], Any]], Callable[..., Any]]:
    """Decorate a function of one parameter object so that it takes the model's fields instead.

    Args:
        model: Whose fields become the arguments; descriptions become the docstring's.
        parse: Turns the arguments into the object, and refuses wrong ones in clear words.
        groups: Of the form: title of each group, by the name of its first field.
    """

    def decorate(function: Callable[[Any], Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def flat(**arguments: Any) -> Any:
            sent = {name: value for name, value in arguments.items() if value is not MISSING}
            return function(parse(sent))

        arguments = form_arguments(model, model_arguments(model), groups)
        flat.__signature__ = inspect.Signature(arguments)  # type: ignore[attr-defined]
        flat.__annotations__ = {}
        del flat.__wrapped__  # else inspect would follow it
        described = "\n".join(
            f"    {name}: {field.description}" for name, field in model.model_fields.items()
        )
        flat.__doc__ = f"{inspect.getdoc(function)}\n\nArgs:\n{described}\n"
        return flat

    return decorate
