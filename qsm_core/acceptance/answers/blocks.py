"""Where the parts of an answer stand, and what stands there instead.

A block opens with "```yaml LABEL" (or "```json LABEL"), then a line end, and ends at the next
"```". The first such block counts, and capitals matter, as in the original evaluation: a model that
cannot keep to the form is to be seen. What was written instead is said in the error.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from qsm_core.acceptance.answers.record import Part

_FENCE = "```"
_SHOWN = 40


class Block(NamedTuple):
    """The text of a block, and the line on which it begins in the answer, from 1."""

    text: str
    line: int


class NoBlock(NamedTuple):
    """Why there is no block, and the line that this is about."""

    error: str
    line: int | None = None


def find_block(raw: str, part: Part) -> Block | NoBlock:
    """Return the block of a part, or say what stands there instead."""
    if part.kind == "text" and part.label is None:
        return _whole(raw)
    found = re.search(_opening(part) + rf"(.*?){_FENCE}", raw, re.DOTALL)
    if found is None and part.kind == "json" and part.label is None and _FENCE not in raw:
        return _whole(raw)
    if found is None:
        return _instead(raw, part)
    text = found[1].rstrip()
    # Blank lines before the text are no part of it, but they count as lines.
    lead = len(text) - len(text.lstrip("\r\n"))
    if not text.strip():
        return NoBlock(f"the block {_name(part)} is empty", _line_at(raw, found.start()))
    return Block(text[lead:], _line_at(raw, found.start(1) + lead))


def _whole(raw: str) -> Block | NoBlock:
    text = raw.strip()
    if not text:
        return NoBlock("the answer is empty")
    return Block(text, _line_at(raw, len(raw) - len(raw.lstrip())))


def _opening(part: Part) -> str:
    label = "" if part.label is None else rf"\s*{re.escape(part.label)}"
    return rf"{_FENCE}{_language(part)}{label}[^\S\n]*\r?\n"


def _language(part: Part) -> str:
    return "(?:text|markdown)?" if part.kind == "text" else part.kind


def _name(part: Part) -> str:
    language = "" if part.kind == "text" else part.kind
    return f"{_FENCE}{language}{'' if part.label is None else ' ' + part.label}".rstrip()


def _instead(raw: str, part: Part) -> NoBlock:
    """Say what comes nearest to the block that is missing."""
    wanted = f"there is no block {_name(part)}"
    if not raw.strip():
        return NoBlock("the answer is empty")
    opened = re.search(_opening(part), raw)
    if opened is not None:
        line = _line_at(raw, opened.start())
        return NoBlock(f"the block {_name(part)} opens and does not close", line)
    if part.label is not None:
        near = re.search(rf"^.*\b{re.escape(part.label)}\b.*$", raw, re.IGNORECASE | re.MULTILINE)
        if near is not None:
            shown = near[0].strip()[:_SHOWN]
            return NoBlock(f"{wanted}; instead there is {shown!r}", _line_at(raw, near.start()))
    fence = re.search(rf"^.*{_FENCE}.*$", raw, re.MULTILINE)
    if fence is not None:
        shown = fence[0].strip()[:_SHOWN]
        return NoBlock(f"{wanted}; the first fence is {shown!r}", _line_at(raw, fence.start()))
    return NoBlock(f"{wanted} and no fence at all; the answer begins {raw.strip()[:_SHOWN]!r}")


def _line_at(raw: str, position: int) -> int:
    return raw.count("\n", 0, position) + 1
