"""The flags of a terminal for a parameter model: one flag a field, in panels of `--help`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import BaseModel

from flows.form.signature import model_arguments

_LONGEST_CHOICES = 16


def model_flags(model: type[BaseModel], panels: Mapping[str, str]) -> list[inspect.Parameter]:
    """Return the parameters of a typer command.

    Args:
        model: The parameter model.
        panels: Title of each panel, by the name of its first field.
    """
    flags, panel = [], None
    for argument in model_arguments(model):
        panel = panels.get(argument.name, panel)
        flags.append(_flag(argument, model, panel))
    return flags


def _flag(
    argument: inspect.Parameter, model: type[BaseModel], panel: str | None
) -> inspect.Parameter:
    """Turn one argument of a flow into a flag with its help text."""
    field = model.model_fields[argument.name]
    annotation, text = _without_limits(field.annotation), str(field.description)
    (item,) = get_args(annotation) if get_origin(annotation) is list else (None,)
    metavar = None
    if get_origin(item) is Literal:  # typer has no lists of choices; the model checks them
        annotation, text = list[str], f"{text} Repeatable: {', '.join(get_args(item))}."
        metavar = "<choice>"
    choices = _choices(annotation)
    if len("|".join(choices)) > _LONGEST_CHOICES:  # they would leave no room for the help text
        metavar, text = "<choice>", f"{text} One of: {', '.join(choices)}."
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "positional" in extra:
        given = typer.Argument(help=text, metavar=str(extra["positional"]), show_default=False)
        return argument.replace(
            annotation=Annotated[annotation, given], kind=inspect.Parameter.KEYWORD_ONLY
        )
    # One that is off by default needs no --no-flag beside it.
    names = [f"--{argument.name.replace('_', '-')}"] if argument.default is False else []
    option = typer.Option(*names, help=text, rich_help_panel=panel, metavar=metavar)
    return argument.replace(annotation=Annotated[annotation, option])


def _without_limits(annotation: Any) -> Any:
    """Return `X | None` for a field that may be empty and else has limits; the model has them."""
    kinds = get_args(annotation)
    if type(None) not in kinds or all(get_origin(one) is not Annotated for one in kinds):
        return annotation
    (kind,) = (get_args(one)[0] for one in kinds if get_origin(one) is Annotated)
    return kind | None


def _choices(annotation: object) -> tuple[str, ...]:
    """Return what a field allows, also where it may be empty; nothing for one that takes any."""
    kinds = (annotation, *get_args(annotation))
    return next((get_args(one) for one in kinds if get_origin(one) is Literal), ())
