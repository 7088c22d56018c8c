"""Parse what a model wrote into SPEECH, NONSPEECH, or no answer.

The parser is total: any text gives a `ParsedAnswer`, and an ambiguous text gives
no label rather than a guess. It trusts, in this order,

1. what follows `Answer:`, if anything does,
2. words about speech, read with their negations (a label word beats a letter: `B) SPEECH` is
   SPEECH, whatever B was meant to be),
3. an option letter, where the answer format or `mapping` gives letters a meaning,
4. yes or no, present or absent,
5. the name of another sound (`SNEEZE`, `dog barking`).

Two of them that contradict each other make the answer ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from qsm_core.inference.claims import MAX_CHARS, Claims, read_claims, tokens, words
from qsm_core.labels import Label, parse_label

LETTERS: dict[str, dict[str, Label]] = {
    "ab": {"A": Label.SPEECH, "B": Label.NONSPEECH},
    "mc": {
        "A": Label.SPEECH,
        "B": Label.NONSPEECH,
        "C": Label.NONSPEECH,
        "D": Label.NONSPEECH,
    },
}
_ANSWER = re.compile(
    r"(?:answer|label|verdict|classification|respuesta|etiqueta)\s*(?:is\b\s*:?|es\b\s*:?|:|=)"
    r"|答案\s*(?:是|\uff1a|:)",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(?<![\w'\u2019.])([A-Z])(?![\w'\u2019])(?!\s+(?!or\b|and\b)[a-z])")
_SHORT = 8  # words up to which `present`, `false` or `a woman` is taken as the whole answer


class ParseLevel(StrEnum):
    """What decided: from a plain label down to nothing."""

    LABEL = "label"
    LETTER = "letter"
    YES_NO = "yes_no"
    PHRASE = "phrase"
    KEYWORD = "keyword"
    AMBIGUOUS = "ambiguous"
    NONE = "none"


@dataclass(frozen=True)
class ParsedAnswer:
    """The label, or None, and what decided."""

    label: Label | None
    level: ParseLevel


def parse_answer(
    text: str, answer_format: str = "labels", mapping: Mapping[str, Label] | None = None
) -> ParsedAnswer:
    """Read a model's answer.

    Args:
        text: What the model wrote; any text.
        answer_format: `labels`, `ab`, `mc` or `open`; gives letters their usual meaning.
        mapping: What each letter means, if the instruction gives it another meaning.

    Raises:
        DataError: A value of `mapping` is not a label. No text raises.
    """
    letters = LETTERS.get(answer_format, {})
    if mapping is not None:
        letters = {letter.upper(): parse_label(label) for letter, label in mapping.items()}
    cut = text[:MAX_CHARS]
    marks = list(_ANSWER.finditer(cut))
    if marks:
        parsed = _parse(cut[marks[-1].end() :], letters)
        if parsed.label is not None:
            return parsed
    return _parse(cut, letters)


def _parse(text: str, letters: Mapping[str, Label]) -> ParsedAnswer:
    all_tokens = tokens(text)
    yes_no, all_tokens = _leading_yes_no(all_tokens)
    claims = read_claims(all_tokens)
    letter = _letter(text, letters)
    if len(claims.said) > 1 or letter is _SEVERAL:
        return ParsedAnswer(None, ParseLevel.AMBIGUOUS)
    if claims.said:
        return _agreed(next(iter(claims.said)), yes_no, _statement_level(claims))
    if claims.open:
        return ParsedAnswer(None, ParseLevel.AMBIGUOUS)
    if isinstance(letter, Label):
        named = Label.NONSPEECH if claims.sounds else None
        return _agreed(letter, named, ParseLevel.LETTER)
    return _without_claims(all_tokens, claims, yes_no)


def _without_claims(all_tokens: list[str], claims: Claims, yes_no: Label | None) -> ParsedAnswer:
    if yes_no is None:
        yes_no = _presence(all_tokens)
    if claims.sounds:
        level = ParseLevel.LABEL if claims.bare else ParseLevel.KEYWORD
        return _agreed(Label.NONSPEECH, yes_no, level)
    if yes_no is not None:
        return ParsedAnswer(yes_no, ParseLevel.YES_NO)
    if _only_people(all_tokens):
        return ParsedAnswer(Label.SPEECH, ParseLevel.KEYWORD)
    return ParsedAnswer(None, ParseLevel.NONE)


def _agreed(label: Label, other: Label | None, level: ParseLevel) -> ParsedAnswer:
    """Return the label unless a second reading contradicts it."""
    if other is not None and other is not label:
        return ParsedAnswer(None, ParseLevel.AMBIGUOUS)
    return ParsedAnswer(label, level)


def _statement_level(claims: Claims) -> ParseLevel:
    return ParseLevel.LABEL if claims.bare else ParseLevel.PHRASE


class _Several:
    """More than one option letter was named."""


_SEVERAL = _Several()


def _letter(text: str, letters: Mapping[str, Label]) -> Label | _Several | None:
    """Find the option letter of an answer; the article in `A dog` is not one."""
    if not letters:
        return None
    alone = re.sub(r"[\W_]+", "", text)
    if alone.upper() in letters:
        return letters[alone.upper()]
    marked = re.match(r"\W*([a-z])\s*[).:]", text)
    named = {marked.group(1).upper()} if marked else set()
    named |= set(_OPTION.findall(text))
    meanings = {letters[letter] for letter in named if letter in letters}
    return _SEVERAL if len(meanings) > 1 else next(iter(meanings), None)


def _leading_yes_no(all_tokens: list[str]) -> tuple[Label | None, list[str]]:
    """Remove a leading `yes` or `no` if it is an answer and not part of a phrase."""
    table = words()
    if not all_tokens:
        return None, all_tokens
    first, following = all_tokens[0], all_tokens[1:2]
    alone = not following or not following[0].isalnum()
    if first in table.yes and (alone or following[0] in table.openers):
        return Label.SPEECH, all_tokens[1:]
    if first in table.no and (alone or following[0] in table.pronouns):
        return Label.NONSPEECH, all_tokens[1:]
    return None, all_tokens


def _presence(all_tokens: list[str]) -> Label | None:
    """Read `Present.`, `not detected`, `That is false`: short answers that name no sound."""
    table = words()
    if len(all_tokens) > _SHORT or table.hedges & set(all_tokens) or "?" in all_tokens[:-1]:
        return None
    present = (table.presences | table.affirmations) & set(all_tokens)
    denied = (table.absences | table.denials) & set(all_tokens)
    if not (present or denied):
        return None
    negated = bool(table.negators & set(all_tokens))
    return Label.NONSPEECH if negated != bool(denied) else Label.SPEECH


def _only_people(all_tokens: list[str]) -> bool:
    """Return whether the answer names a person and nothing else (`a woman`, `human`)."""
    table = words()
    named = [token for token in all_tokens if token not in table.fillers and token.isalnum()]
    people = [token for token in all_tokens if token in table.people]
    return bool(people) and all(token in table.people for token in named)
