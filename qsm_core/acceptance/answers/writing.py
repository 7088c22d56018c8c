"""Write an answer as a model should: the blocks of a task, in order, fenced and labelled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from qsm_core.acceptance.answers.record import Part

_ENDLESS = 10**6  # no line of YAML is wrapped


def answer_text(expected: Any, parts: Sequence[Part]) -> str | None:
    """Return what a case expects as the text of an answer; null where it does not say it whole.

    Args:
        expected: A text is the whole answer. A mapping holds the parts, each as text or value,
            under the part's name or under a key that ends with it, such as product_vision. Where
            there is one part and no such key, the mapping is the part itself.
        parts: What an answer of the task is made of.
    """
    if isinstance(expected, str):
        return expected.strip() or None
    if not isinstance(expected, Mapping):
        return None
    values = [_value_of(expected, part) for part in parts]
    if len(parts) == 1 and values[0] is None:
        values = [dict(expected)]
    if any(value in (None, "") for value in values):
        return None
    return "\n".join(_block(value, part) for value, part in zip(values, parts, strict=True))


def _value_of(expected: Mapping[str, Any], part: Part) -> Any:
    if part.name in expected:
        return expected[part.name]
    keys = [key for key in expected if str(key).endswith(f"_{part.name}")]
    return expected[keys[0]] if len(keys) == 1 else None


def _block(value: Any, part: Part) -> str:
    if part.kind == "text":
        return str(value).strip()
    if not isinstance(value, str):
        value = _dumped(value, part.kind)
    label = f" {part.label}" if part.label else ""
    return f"```{part.kind}{label}\n{value.strip()}\n```"


def _dumped(value: Any, kind: str) -> str:
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    return yaml.safe_dump(value, sort_keys=False, width=_ENDLESS, allow_unicode=True)
