"""What a sentence claims about speech: stated, denied, or left open.

A model that answers in a sentence says `The audio does not contain human speech` as readily as
`no voice can be heard`, so a keyword alone says nothing: each one is read inside its clause,
together with the negations there. The words (English, Chinese, Spanish, some German and French)
are data in `answer_words.json`. Everything here is linear in the length of the text and takes any
text at all.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from qsm_core.labels import Label

MAX_CHARS = 4000  # an answer is a word or a sentence; what follows is cut
_CONTRACTION = re.compile(
    r"\b(is|are|was|were|do|does|did|has|have|had|could|would|should|must)n'?t\b|\b(ca)n'?t\b"
    r"|\b(wo)n'?t\b|\bcannot\b"
)
_COMPOUND = re.compile(
    r"\bnon[\s\-_]*(?:human[\s\-_]+)?(?:speech|speaking|spoken|voice|voiced|vocal|talking)\b"
)
_NON_PREFIX = re.compile(r"\bnon[\s\-_]+(human|verbal)\b")
_MARKUP = re.compile(r"<[^<>]{0,40}>|[*_`#~\"\u201c\u201d\u00ab\u00bb|\[\]{}]")
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?\n。、]")
_SENTENCE_ENDS = frozenset(".!?\n。")
_PUNCTUATION = _SENTENCE_ENDS | frozenset(",;:、")


@dataclass(frozen=True)
class Words:
    """The keyword tables, as sets of folded words."""

    rewrites: tuple[tuple[re.Pattern[str], str], ...]
    speech: frozenset[str]
    nonspeech: frozenset[str]
    people: frozenset[str]
    sounds: frozenset[str]
    negators: frozenset[str]
    inversions: frozenset[str]
    absences: frozenset[str]
    auxiliaries: frozenset[str]
    presences: frozenset[str]
    hedges: frozenset[str]
    breaks: frozenset[str]
    openers: frozenset[str]
    pronouns: frozenset[str]
    alternatives: frozenset[str]
    joins: frozenset[str]
    yes: frozenset[str]
    no: frozenset[str]
    affirmations: frozenset[str]
    denials: frozenset[str]
    fillers: frozenset[str]


@dataclass(frozen=True)
class Claims:
    """What a text claims.

    Attributes:
        said: Labels that are claimed outright, by a label word or by a statement about speech.
        sounds: Whether a sound other than speech is named without being denied.
        bare: Whether the text consists only of label words, negations and fillers.
        open: Whether the text offers speech and something else as alternatives.
    """

    said: frozenset[Label]
    sounds: bool
    bare: bool
    open: bool


@cache
def words() -> Words:
    """Return the keyword tables."""
    text = files("qsm_core.inference").joinpath("answer_words.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    rewrites = tuple((_phrase(old), new) for old, new in content.pop("rewrites"))
    return Words(rewrites, **{name: frozenset(entries) for name, entries in content.items()})


def _phrase(text: str) -> re.Pattern[str]:
    """Match a phrase as whole words, or anywhere where the script has no spaces."""
    if text.isascii() or text[0].isascii():
        return re.compile(r"\b" + r"[\s\-]+".join(map(re.escape, text.split())) + r"\b")
    return re.compile(re.escape(text))


def tokens(text: str) -> list[str]:
    """Fold a text and cut it into words and punctuation, with phrases rewritten to one form."""
    folded = unicodedata.normalize("NFKC", text[:MAX_CHARS].replace("\uff0c", ";")).casefold()
    folded = re.sub("[\u2018\u2019]", "'", folded)
    folded = re.sub("[\u2010-\u2012\u2212]", "-", folded)
    folded = _MARKUP.sub(" ", folded)
    folded = _CONTRACTION.sub(_expand, folded)
    folded = _COMPOUND.sub(" nonspeech ", folded)
    folded = _NON_PREFIX.sub(r" non\1 ", folded)
    folded = re.sub(r"\s+-+\s+|[\u2013\u2014]", " ; ", folded)
    for pattern, replacement in words().rewrites:
        folded = pattern.sub(replacement, folded)
    return _TOKEN.findall(re.sub(r"[ \t]+", " ", folded).strip())


def _expand(match: re.Match[str]) -> str:
    verb = match.group(1) or {"ca": "can", "wo": "will"}.get(
        match.group(2) or match.group(3), "can"
    )
    return f"{verb} not"


def read_claims(tokens_of_text: Iterable[str]) -> Claims:
    """Collect what each clause of a tokenised text claims."""
    all_tokens = list(tokens_of_text)
    said: set[Label] = set()
    sounds = is_open = False
    for clause in _clauses(all_tokens):
        verdict, sound, alternatives = _read_clause(clause)
        said |= verdict
        sounds |= sound
        is_open |= alternatives
    table = words()
    denials = table.negators | table.inversions
    known = table.speech | table.nonspeech | denials | table.fillers | {"noise"}
    bare = bool(all_tokens) and all(t in known or t in _PUNCTUATION for t in all_tokens)
    return Claims(frozenset(said), sounds, bare, is_open)


def _clauses(all_tokens: list[str]) -> Iterator[list[str]]:
    """Cut at sentence ends, contrasts, and commas or `and` that open a new statement.

    A list keeps its negation (`no speech, music or noise`). A question claims nothing unless it is
    a single word, and a sentence with `if` claims nothing at all.
    """
    sentence: list[str] = []
    for token in [*all_tokens, "."]:
        if token not in _SENTENCE_ENDS:
            sentence.append(token)
            continue
        asks = token == "?" and len(sentence) > 1  # noqa: S105 - a word of a text
        if sentence and not asks and "if" not in sentence:
            yield from _split(sentence)
        sentence = []


def _split(sentence: list[str]) -> Iterator[list[str]]:
    table = words()
    denials = table.negators | table.inversions
    clause: list[str] = []
    for i, token in enumerate(sentence):
        following = sentence[i + 1] if i + 1 < len(sentence) else ""
        joint = token == "," or token in table.joins  # noqa: S105 - a word of a text
        cut = (
            token in table.breaks
            or (joint and (following in table.openers or clause[-1:] == ["no"]))
            or token == ";"  # noqa: S105 - a word of a text
            or (token == ":" and following not in denials)  # noqa: S105 - a word of a text
        )
        if cut:
            yield clause
            clause = []
        elif token not in _PUNCTUATION:
            clause.append(token)
    yield clause


def _read_clause(clause: list[str]) -> tuple[set[Label], bool, bool]:
    """Return the labels that a clause claims, whether it names a sound, and whether it is open."""
    table = words()
    if table.hedges & set(clause):
        return set(), False, False
    speech = [i for i, token in enumerate(clause) if token in table.speech]
    label = [i for i, token in enumerate(clause) if token in table.nonspeech]
    sound = [i for i, token in enumerate(clause) if token in table.sounds]
    if _offers_alternatives(clause, speech, label + sound):
        return set(), False, True
    said = {Label.NONSPEECH if _denied(clause, i) else Label.SPEECH for i in speech}
    said |= {Label.SPEECH if _denied(clause, i) else Label.NONSPEECH for i in label}
    named = any(not _denied(clause, i) for i in sound)
    silent = "nothing" in clause and not speech
    return said, named or silent, False


def _offers_alternatives(clause: list[str], speech: list[int], other: list[int]) -> bool:
    """Say whether speech and something else stand on two sides of an `or`, undenied."""
    places = [i for i, token in enumerate(clause) if token in words().alternatives]
    return any(
        (min(s, o) < place < max(s, o)) and not _denied(clause, min(s, o))
        for place in places
        for s in speech
        for o in other
    )


def _denied(clause: list[str], place: int) -> bool:
    """Say whether the word at `place` is denied.

    Negations of one kind repeat in a list or agree with each other (`no music, no speech`,
    `no hay ninguna voz`); a negation of an absence takes it back (`not without speech`).
    """
    table = words()
    bearing = [
        token
        for i, token in enumerate(clause)
        if i != place
        and token in table.negators | table.inversions
        and (i < place or token in table.absences or _is_predicate(clause, i))
    ]
    inverted = any(token in table.inversions for token in bearing)
    negated = any(token in table.negators for token in bearing)
    return inverted != negated


def _is_predicate(clause: list[str], place: int) -> bool:
    """Return whether a negation denies the subject before it (`speech is not present`)."""
    table = words()
    before = clause[place - 1] if place else ""
    after = clause[place + 1 : place + 4]
    return before in table.auxiliaries or bool((table.presences | table.absences) & set(after))
