"""An answer that was read: its parts, its level, and why it is not better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from qsm_core.acceptance.answers.levels import Level

PartKind = Literal["yaml", "json", "text"]
TRUNCATED = "truncated"


@dataclass(frozen=True)
class Part:
    """A part that an answer has to have.

    Args:
        name: In Python entries, reasons and tables, such as vision.
        kind: yaml or json: a fenced block with a mapping; text: free text.
        label: The word behind the fence's language, as VISION in "```yaml VISION". Null: the first
            block of that kind (for json also the whole answer); a text without a label is the
            whole answer.
        schema: JSON Schema that the parsed value has to meet; null where the contract says all.
        grammar: JSON Schema for constrained generation, which may ask for more; null: `schema`.
    """

    name: str
    kind: PartKind = "yaml"
    label: str | None = None
    schema: Mapping[str, Any] | None = None
    grammar: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PartAnswer:
    """What an answer has for one part.

    Args:
        name: Of the part.
        level: How far this part gets, without the contract.
        text: Of the block, as it stands; null where there is none.
        value: What was parsed: only plain YAML or JSON values; null where it does not parse.
        error: What the parser said.
        line: Where, counted from 1 in the raw text.
        is_repaired: It parsed only after inline back-ticks were dropped.
    """

    name: str
    level: Level
    text: str | None = None
    value: Any = None
    error: str | None = None
    line: int | None = None
    is_repaired: bool = False

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The parsed value where it is a mapping, else an empty one."""
        return self.value if isinstance(self.value, Mapping) else {}


@dataclass(frozen=True)
class Answer:
    """A raw answer and what it holds.

    Args:
        raw: The text as the model wrote it.
        parts: By name, in the order of the task.
        level: How far the answer gets.
        reason: A code such as missing_yaml_blocks or truncated; null where the contract is met.
        error: The reason in words.
        line: Of the raw text that it is about, from 1; null where it is about no line.
        is_truncated: The token limit cut it off. It may be valid all the same.
    """

    raw: str
    parts: Mapping[str, PartAnswer] = field(default_factory=dict)
    level: Level = Level.NOTHING
    reason: str | None = None
    error: str | None = None
    line: int | None = None
    is_truncated: bool = False

    @property
    def is_valid(self) -> bool:
        """Whether the contract is met."""
        return self.level == Level.CONTRACT


@dataclass(frozen=True)
class Breach:
    """A rule of the contract that an answer breaks: a code, and the same in words."""

    reason: str
    error: str
    part: str | None = None
