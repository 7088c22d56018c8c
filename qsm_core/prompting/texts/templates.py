"""The fixed instructions: the baseline and fifteen templates, one for each kind of wording.

They are data (`templates.json`), each with the kind of wording that it represents. This module
needs no torch, so that anything may read the texts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Template:
    """One instruction: its id, the kind of wording, the text, and the form of its answers."""

    id: str
    kind: str
    text: str
    answer_format: str


def baseline() -> Template:
    """Return the instruction that every search starts from by default."""
    return _read()[0]


def templates() -> tuple[Template, ...]:
    """Return the fifteen templates T01 to T15, in this order."""
    return _read()[1:]


def instruction_texts() -> tuple[str, ...]:
    """Return every fixed text, the baseline first: what a tokenizer should know."""
    return tuple(template.text for template in _read())


@cache
def _read() -> tuple[Template, ...]:
    text = files("qsm_core.prompting").joinpath("templates.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return tuple(Template(**entry) for entry in [content["baseline"], *content["templates"]])
