"""Parse instructions from what a language model wrote, whatever it wrote.

Tried in this order: <INS> tags; a JSON list; a list with numbers, bullets or `PROMPT_1:`; the whole
answer as one instruction. Its reasoning (<think>) and Markdown formatting are left out. Whether an
instruction can be scored is not decided here: an answer that makes no sense becomes one text, which
the search refuses and records.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_LONGEST_ANSWER = 50_000  # characters that are parsed
_MOST = 64  # instructions of one answer
_KEYS = ("instruction", "text", "prompt")

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_TAGGED = re.compile(r"<INS>(.*?)(?:</INS>|(?=<INS>)|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^\s*```[\w-]*\s*$", re.MULTILINE)
_ITEM = re.compile(
    r"^[ \t]*(?:\*\*)?(?:\d{1,3}[.):]|[-*•+](?=\s)|(?:PROMPT|INSTRUCTION)[ _]?\d{1,3}:)\s*(.*)$",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"^(?:\*\*)?(?:new |improved )?(?:instruction|prompt|text)(?::\*\*|\*\*:|:)\s*", re.IGNORECASE
)
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "«": "»", "„": "“", "\u2018": "\u2019"}


def read_instructions(answer: str) -> list[str]:
    """Return the instructions of an answer in order; empty if there is none."""
    text = _FENCE.sub("", _THOUGHT.sub(" ", answer[:_LONGEST_ANSWER]))
    for read in (_tagged, _json, _listed):
        instructions = [plain for item in read(text) if (plain := _plain(item))]
        if instructions:
            return instructions[:_MOST]
    whole = _plain(text)
    return [whole] if whole else []


def _tagged(text: str) -> list[str]:
    return [match.group(1) for match in _TAGGED.finditer(text)]


def _json(text: str) -> list[str]:
    """Return the texts of the first JSON value at the start of a line, if any."""
    start = re.search(r"^\s*[\[{]", text, re.MULTILINE)
    if start is None:
        return []
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start.end() - 1 :])
    except (ValueError, RecursionError):
        return []
    return list(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a list, of a list of objects, or of an object with such a list."""
    if isinstance(value, dict):
        named = next((value[key] for key in _KEYS if key in value), None)
        inner = [named] if named is not None else [v for v in value.values() if isinstance(v, list)]
        for item in inner:
            yield from _texts(item) if isinstance(item, list) else _only_text(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item) if isinstance(item, dict) else _only_text(item)


def _only_text(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value


def _listed(text: str) -> list[str]:
    """Return the items of a list; a line that starts no item belongs to the previous item."""
    items: list[str] = []
    for line in text.splitlines():
        item = _ITEM.match(line)
        if item is not None:
            items.append(item.group(1))
        elif items and line.strip():
            items[-1] += f" {line}"
    return items


def _plain(text: str) -> str:
    """Return a text on one line, without the quotes and marks around it."""
    plain = " ".join(text.split())
    plain = _LEAD.sub("", plain).strip()
    while len(plain) >= 2 and _is_wrapped(plain):
        plain = plain.strip("*").strip() if plain.startswith("**") else plain[1:-1].strip()
    return plain


def _is_wrapped(text: str) -> bool:
    if text.startswith("**") and text.endswith("**"):
        return bool(text.strip("*"))
    return _QUOTES.get(text[0]) == text[-1] and text[0] not in text[1:-1]
