"""Candidate instructions: what they are, when two are the same, and which are refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

from qsm_core.inference.answers import AUTO, AnswerFormat, detect_format
from qsm_core.inference.config import LONGEST_INSTRUCTION, SHORTEST_INSTRUCTION

# Of Qwen2-Audio and its relatives, in addition to those of the model's own tokenizer.
_SPECIAL = re.compile(r"<\|[^|<>]*\|>|</?audio>", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """An instruction that may be scored.

    Attributes:
        text: The instruction.
        origin: Who proposed it and from what, such as `template T04` or `recombination of 3, 7`.
    """

    text: str
    origin: str


@dataclass(frozen=True)
class Refusal:
    """A text that its own proposer refuses; the search records it.

    Attributes:
        text: As it was proposed.
        reason: Why it was refused.
        origin: As that of a candidate.
    """

    text: str
    reason: str
    origin: str = ""


def clean_text(text: str) -> str:
    """Return a text on one line, in one Unicode form, with single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def same_text_key(text: str) -> str:
    """Return a key that is equal for texts that differ only in case, spacing and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[^\W_]+", re.sub(r"non[\s_-]+speech", "nonspeech", folded)))


def text_problem(
    text: str, answer_format: str = AUTO, special_tokens: Collection[str] = ()
) -> str | None:
    """Return why a cleaned text cannot be a candidate, or None if it can.

    Args:
        text: As `clean_text` returns it.
        answer_format: That of the search. With "auto", a candidate may ask for labels or options.
        special_tokens: Tokens of the model that a prompt must not contain.
    """
    if not SHORTEST_INSTRUCTION <= len(text) <= LONGEST_INSTRUCTION:
        return (
            f"{len(text)} characters; allowed are {SHORTEST_INSTRUCTION} to {LONGEST_INSTRUCTION}"
        )
    match = _SPECIAL.search(text)
    token = match.group() if match else next((t for t in special_tokens if t in text), None)
    if token is not None:
        return f"holds the special token {token}"
    detected = detect_format(text)
    if answer_format == AUTO and detected is AnswerFormat.OPEN:
        return "does not say how to answer: needed are SPEECH and NONSPEECH, or options A) and B)"
    if answer_format not in (AUTO, AnswerFormat.OPEN, detected):
        return f"asks for an answer of the format {detected}; needed is {answer_format}"
    return None
