"""The instructions in the JSON of an answer, whatever their keys are called."""

from __future__ import annotations

import json
import re
from typing import Any

# The best that an object has is taken; an object with other keys must have one text only.
_NAMES = (
    re.compile(r"instruction|^ins$", re.IGNORECASE),
    re.compile(r"prompt", re.IGNORECASE),
    re.compile(r"^(text|answer|output|result|response|content|new|improved|final)", re.IGNORECASE),
)
_ASIDE = re.compile(
    r"reason|explan|rational|thought|think|analy|score|old|prev|orig|draft|why|comment|note|"
    r"critique|reject",
    re.IGNORECASE,
)
_STARTS = re.compile(r"[\[{]")
_MOST_STARTS = 20
_DEEPEST = 5


class NoTextError(Exception):
    """JSON that holds no text which is clearly an instruction; the text says why."""


def json_texts(text: str) -> list[str]:
    """Return the instructions of the last JSON value in a text that holds some; empty without JSON.

    Raises:
        NoTextError: There is JSON, damaged or with keys of which none is an instruction's.
    """
    found: list[str] = []
    problem = ""
    place, tries = 0, 0
    while (start := _STARTS.search(text, place)) is not None and tries < _MOST_STARTS:
        tries += 1
        try:
            value, place = json.JSONDecoder(strict=False).raw_decode(text, start.start())
        except (ValueError, RecursionError):
            place = start.end()
            continue
        try:
            found = _texts(value, 0) or found
        except NoTextError as error:
            problem = str(error)
    if not found and problem:
        raise NoTextError(problem)
    if not found and text.strip()[:1] in ("{", "["):
        raise NoTextError("looks like JSON that is damaged or holds no text")
    return found


def _texts(value: Any, depth: int) -> list[str]:
    if depth > _DEEPEST:
        return []
    if isinstance(value, str):
        return [value] if value.strip() else []
    if isinstance(value, list):
        return [text for item in value for text in _texts(item, depth + 1)]
    if isinstance(value, dict):
        return _of_object(value, depth)
    return []


def _of_object(value: dict[str, Any], depth: int) -> list[str]:
    wanted = {key: inner for key, inner in value.items() if not _ASIDE.search(key)}
    for name in _NAMES:
        named = [inner for key, inner in wanted.items() if name.search(key)]
        found = [text for inner in named for text in _texts(inner, depth + 1)]
        if found:
            return found
    found = [text for inner in wanted.values() for text in _texts(inner, depth + 1)]
    if len(found) > 1 and sum(isinstance(inner, str) for inner in wanted.values()) > 1:
        keys = ", ".join(map(repr, list(wanted)[:5]))
        raise NoTextError(
            f"is JSON with the keys {keys}, none of which is named for an instruction"
        )
    return found
