"""Which answers an instruction allows, what they mean, and the tokens that begin them.

Four formats: `labels` (SPEECH or NONSPEECH), `ab` (two options), `mc` (four options) and `open`
(the model writes, a parser reads). `auto` detects the format that the instruction asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.inference.parsing import LETTERS, parse_answer
from qsm_core.labels import Label

AUTO = "auto"
_OPTION = re.compile(r"(?<!\w)([A-D])\)\s*(.*?)(?=(?<!\w)[A-D]\)|[\n;]|$)", re.DOTALL)
_NONSPEECH = re.compile(r"\bnon[\s_-]?speech\b", re.IGNORECASE)
_SPEECH = re.compile(r"\bspeech\b", re.IGNORECASE)
_LEADS = ("", " ", "\n")  # a model may begin its answer with white space


class AnswerFormat(StrEnum):
    """How the model is to answer."""

    LABELS = "labels"
    AB = "ab"
    MC = "mc"
    OPEN = "open"


@dataclass(frozen=True)
class AnswerChoices:
    """The allowed answers of a format and what each means; none for `open`.

    Attributes:
        answer_format: The format.
        meanings: Label of each answer text, in order.
    """

    answer_format: AnswerFormat
    meanings: Mapping[str, Label]


@dataclass(frozen=True)
class AnswerTokens:
    """First tokens of the allowed answers: one entry a token.

    Attributes:
        ids: Token ids, each of them beginning exactly one answer.
        texts: The answer that each token begins.
        labels: What that answer means.
    """

    ids: tuple[int, ...]
    texts: tuple[str, ...]
    labels: tuple[Label, ...]


def detect_format(instruction: str) -> AnswerFormat:
    """Detect the answer format that an instruction asks for."""
    letters = {match.group(1) for match in _OPTION.finditer(instruction)}
    if {"A", "D"} <= letters:
        return AnswerFormat.MC
    if {"A", "B"} <= letters:
        return AnswerFormat.AB
    without, count = _NONSPEECH.subn(" ", instruction)
    return AnswerFormat.LABELS if count and _SPEECH.search(without) else AnswerFormat.OPEN


def answer_choices(
    instruction: str,
    answer_format: str = AUTO,
    mapping: Mapping[str, Label] | None = None,
) -> AnswerChoices:
    """Return the answers that an instruction allows.

    Args:
        instruction: The text given to the model.
        answer_format: "auto", "labels", "ab", "mc" or "open".
        mapping: What each option letter means. Without it, the options' own texts decide if all
            of them can be read and both labels occur; otherwise only A is speech.

    Raises:
        ConfigurationError: An unknown format, or a mapping without both labels.
    """
    chosen = _parse_format(instruction, answer_format)
    if chosen is AnswerFormat.LABELS:
        return AnswerChoices(chosen, {label.value: label for label in Label})
    if chosen is AnswerFormat.OPEN:
        return AnswerChoices(chosen, {})
    if mapping is None:
        mapping = _read_options(instruction) or LETTERS[chosen.value]
    if set(mapping.values()) != set(Label):
        shown = {letter: str(label) for letter, label in mapping.items()}
        problem = f"mapping = {shown}: needed is at least one letter for each label"
        raise ConfigurationError("the options have no meaning", [problem])
    return AnswerChoices(chosen, dict(mapping))


def answer_tokens(tokenizer: Any, choices: AnswerChoices) -> AnswerTokens:
    """Return the first tokens of the allowed answers, with and without leading white space.

    A token that could begin two answers, or that is white space alone, decides nothing and is
    left out.

    Raises:
        ModelError: Two answers begin with the same token, so one step cannot distinguish them.
    """
    owners: dict[int, set[str]] = {}
    for text in choices.meanings:
        for lead in _LEADS:
            first = tokenizer(lead + text, add_special_tokens=False)["input_ids"][0]
            owners.setdefault(first, set()).add(text)
    for token, texts in owners.items():
        plain = {
            t for t in texts if tokenizer(t, add_special_tokens=False)["input_ids"][0] == token
        }
        if plain and len(texts) > 1:
            raise ModelError(
                f"the answers {' and '.join(map(repr, sorted(texts)))} begin with the same token "
                f"{tokenizer.decode([token])!r} of this model: ask for options A) and B) instead"
            )
    kept = {
        token: next(iter(texts))
        for token, texts in owners.items()
        if len(texts) == 1 and tokenizer.decode([token]).strip()
    }
    labels = tuple(choices.meanings[text] for text in kept.values())
    return AnswerTokens(tuple(kept), tuple(kept.values()), labels)


def _parse_format(instruction: str, answer_format: str) -> AnswerFormat:
    if answer_format == AUTO:
        return detect_format(instruction)
    try:
        return AnswerFormat(answer_format)
    except ValueError:
        allowed = ", ".join([AUTO, *AnswerFormat])
        problem = f"answer_format = {answer_format!r}: allowed are {allowed}"
        raise ConfigurationError("unknown answer format", [problem]) from None


def _read_options(instruction: str) -> dict[str, Label] | None:
    """Return what the option texts mean, if all of them are clear and both labels occur."""
    texts = {match.group(1): match.group(2) for match in _OPTION.finditer(instruction)}
    parsed = {letter: parse_answer(text).label for letter, text in texts.items()}
    clear = {letter: label for letter, label in parsed.items() if label is not None}
    return clear if len(clear) == len(parsed) and set(clear.values()) == set(Label) else None
