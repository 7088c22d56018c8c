"""Read a raw answer: its parts, how far it gets, and one reason why not further.

Nothing that a model can write raises an error here. The reasons, in the order in which they are
looked for:

| reason | the answer |
|---|---|
| truncated | was cut off by the token limit before it was valid |
| missing_yaml_blocks, ..._json_..., missing_text | lacks a block, or it is empty or open |
| invalid_<part>_yaml, invalid_<part>_json | has a block that does not parse |
| <part>_not_mapping | has a block that is a list, a text, a number or nothing |
| those of the contract, then of the schema | breaks a rule |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from qsm_core.acceptance.answers.blocks import NoBlock, find_block
from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.answers.record import TRUNCATED, Answer, Breach, Part, PartAnswer
from qsm_core.acceptance.answers.schemas import schema_breach
from qsm_core.acceptance.answers.yaml_text import PARSERS, TextError, parse_yaml

_INLINE_CODE = re.compile("`([^`]+)`")
_MISSING = {
    "yaml": "missing_yaml_blocks",
    "json": "missing_json_blocks",
    "text": "missing_text",
}
Check = Callable[[Answer], Breach | None]


def read_answer(
    raw: str, parts: Sequence[Part], *, contract: Check | None = None, is_truncated: bool = False
) -> Answer:
    """Read an answer.

    Args:
        raw: As the model wrote it.
        parts: What it has to have.
        contract: Rules beyond the schemas of the parts.
        is_truncated: The token limit cut it off.
    """
    read = tuple(read_part(raw, part) for part in parts)
    answer = Answer(
        raw,
        {one.name: one for one in read},
        level=min((one.level for one in read), default=Level.MAPPING),
        is_truncated=is_truncated,
    )
    answer = _explained(answer, parts)
    if answer.level == Level.MAPPING:
        answer = _held_to(answer, parts, contract)
    if is_truncated and not answer.is_valid:
        error = f"cut off by the token limit: {answer.error}"
        return replace(answer, reason=TRUNCATED, error=error)
    return answer


def read_part(raw: str, part: Part) -> PartAnswer:
    """Find and parse one part of an answer."""
    block = find_block(raw, part)
    if isinstance(block, NoBlock):
        return PartAnswer(part.name, Level.NOTHING, error=block.error, line=block.line)
    if part.kind == "text":
        return PartAnswer(part.name, Level.MAPPING, text=block.text, value=block.text)
    return read_text(block.text, part, line=block.line)


def read_text(text: str, part: Part, *, line: int = 1) -> PartAnswer:
    """Parse the text of a block that begins on a line of the answer."""
    parse = PARSERS[part.kind]
    is_repaired = False
    try:
        value = parse(text)
    except TextError as error:
        repaired = _without_inline_code(text) if part.kind == "yaml" else None
        if repaired is None:
            at = None if error.line is None else line + error.line - 1
            return PartAnswer(part.name, Level.FOUND, text=text, error=error.message, line=at)
        value, is_repaired = repaired, True
    if isinstance(value, dict):
        return PartAnswer(part.name, Level.MAPPING, text=text, value=value, is_repaired=is_repaired)
    kinds = {list: "a list", str: "a text", type(None): "empty"}
    kind = kinds.get(type(value), f"a value of type {type(value).__name__}")
    error_text = f"{part.name} is {kind}; it has to be a mapping of keys to values"
    return PartAnswer(
        part.name, Level.PARSES, text, value, error_text, line, is_repaired=is_repaired
    )


def _without_inline_code(text: str) -> Any:
    """Parse YAML without the back-ticks around words, as the original does; None if it fails.

    YAML does not allow a value to begin with a back-tick.
    """
    plain = _INLINE_CODE.sub(r"\1", text)
    try:
        return parse_yaml(plain) if plain != text else None
    except TextError:
        return None


def _explained(answer: Answer, parts: Sequence[Part]) -> Answer:
    """Give an answer below MAPPING the reason of its worst part; the first of equals."""
    if answer.level >= Level.MAPPING:
        return answer
    part = next(one for one in parts if answer.parts[one.name].level == answer.level)
    reasons = {
        Level.NOTHING: _MISSING[part.kind],
        Level.FOUND: f"invalid_{part.name}_{part.kind}",
        Level.PARSES: f"{part.name}_not_mapping",
    }
    worst = answer.parts[part.name]
    return replace(answer, reason=reasons[answer.level], error=worst.error, line=worst.line)


def _held_to(answer: Answer, parts: Sequence[Part], contract: Check | None) -> Answer:
    breach = contract(answer) if contract is not None else None
    for part in parts:
        breach = breach or schema_breach(part, answer.parts[part.name].value)
    if breach is None:
        return replace(answer, level=Level.CONTRACT)
    return replace(answer, reason=breach.reason, error=breach.error)
