"""The form that Prefect's UI draws for the parameters of a flow.

The UI draws one flat list in the order of the fields: it cannot fold a group, and a nested model
loses values in it. So the group stands in front of each title. An empty field is drawn as an empty
box: a type of "number or null" would be drawn as a choice of types instead.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import MISSING, BaseModel, BeforeValidator, Field, TypeAdapter, WithJsonSchema

from flows.form.validation import is_blank

_SPELLING = {
    "lora": "LoRA",
    "opro": "OPRO",
    "snr": "SNR",
    "rirs": "RIRs",
    "ms": "length (ms)",
    "num": "number of",
    "url": "URL",
}


def form_arguments(
    model: type[BaseModel], arguments: list[inspect.Parameter], groups: Mapping[str, str]
) -> list[inspect.Parameter]:
    """Return the arguments of a flow with what the form shows of each.

    Args:
        model: The parameter model.
        arguments: One for each field of it.
        groups: Title of each group, by the name of its first field.
    """
    shown, group = [], ""
    for argument in arguments:
        group = groups.get(argument.name, group)
        title = model.model_fields[argument.name].title or field_title(argument.name, group)
        extra: Any = {"title": f"{group} · {title}" if group and title != group else title}
        # As an extra, because Prefect writes the name of the argument over any other title.
        empty = BeforeValidator(partial(_without_empty_boxes, argument.default))
        details: list[Any] = [Field(json_schema_extra=extra), empty]
        if argument.default is None:
            details.append(_without_null(argument.annotation))
            # None as default would be sent by the form, and refused by the server as no number.
            argument = argument.replace(default=MISSING)
        annotation: Any = Annotated[(argument.annotation, *details)]
        shown.append(argument.replace(annotation=annotation))
    return shown


def field_title(name: str, group: str) -> str:
    """Turn the name of a field into its title; what the group says already is left out.

    >>> field_title("lora_rank", "LoRA"), field_title("snr_reference", "Conditions")
    ('Rank', 'SNR reference')
    """
    words = name.split("_")
    if words[0] == group.lower() and len(words) > 1:
        words = words[1:]
    text = " ".join(_SPELLING.get(word, word) for word in words)
    return text[0].upper() + text[1:]


def _without_empty_boxes(default: Any, value: Any) -> Any:
    """Take an empty box, and one that was not sent, as the default; leave empty rows of a list out.

    Nobody sees whether a box is empty or holds a space.
    """
    if value is MISSING or (is_blank(value) and default is not inspect.Parameter.empty):
        return default
    return [one for one in value if not is_blank(one)] if isinstance(value, list) else value


def _without_null(annotation: Any) -> WithJsonSchema:
    """Return the JSON schema of an optional type as that of the type alone."""
    schema = TypeAdapter(annotation).json_schema()
    (kept,) = [one for one in schema["anyOf"] if one != {"type": "null"}]
    return WithJsonSchema(kept)
