"""Random paraphrases of the seed instruction: the effect of wording alone.

Scores do not affect them, so a search over paraphrases is the control of one that learns from
scores. An optimizer LLM writes them if there is one; otherwise phrases are replaced by others that
mean the same (`paraphrases.json`), something short is put before or after, and the labels may swap
places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from qsm_core.inference.config import LONGEST_INSTRUCTION
from qsm_core.models.text.protocol import TextLLM
from qsm_core.prompting.candidate_scores import ScoredCandidate
from qsm_core.prompting.proposers.opro import answers_in_batches, sanitized
from qsm_core.prompting.texts.candidates import (
    Candidate,
    Refusal,
    clean_text,
    same_text_key,
    text_problem,
)

ORIGIN_BY_LLM = "paraphrase by the LLM"
_TRIES = 40
_CHANGED = 0.7  # chance that a phrase is replaced
_SWAPPED = 0.3  # chance that the labels swap places
_NUM_SEEDS = 2**31 - 1
_LABEL_PAIR = re.compile(r"\bSPEECH(\s+or\s+|\s*/\s*)(NON-?SPEECH)\b")
_REQUEST = """\
Rewrite this instruction for an audio language model in other words, so that it means the same:

{text}

Keep the names of the allowed answers exactly as they are. It has at most {max_chars} characters.
Begin it with <INS> and end it with </INS>."""


class ParaphraseProposer:
    """Proposes paraphrases of the first instruction of the history, whatever was scored since."""

    def __init__(
        self, llm: TextLLM | None = None, *, before_call: Callable[[], None] = lambda: None
    ) -> None:
        """Prepare.

        Args:
            llm: Writes the paraphrases; None: they are made by rules.
            before_call: Called before each call of the LLM; may end the search.
        """
        self._llm = llm
        self._before_call = before_call

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return `count` paraphrases, or fewer if the rules find no more."""
        if not history:
            return []
        text = history[0].candidate.text
        if self._llm is not None:
            seeds = [int(seed) for seed in rng.integers(_NUM_SEEDS, size=count)]
            request = _REQUEST.format(text=text, max_chars=LONGEST_INSTRUCTION)
            answers = answers_in_batches(self._llm, request, seeds, self._before_call)
            return [item for a in answers for item in sanitized(a, text, ORIGIN_BY_LLM)]
        seen = {same_text_key(entry.candidate.text) for entry in history}
        paraphrases: list[Candidate | Refusal] = []
        for _ in range(_TRIES * count):
            other = paraphrase(text, rng)
            if same_text_key(other) not in seen and text_problem(other) is None:
                seen.add(same_text_key(other))
                paraphrases.append(Candidate(other, "paraphrase"))
            if len(paraphrases) == count:
                break
        return paraphrases


def paraphrase(text: str, rng: np.random.Generator) -> str:
    """Return a text with phrases replaced by others that mean the same.

    Label words stay: a phrase is only found in lower case or with a capital first letter.
    """
    rules = _rules()
    for group in rules["groups"]:
        for phrase in sorted(group, key=len, reverse=True):
            found = re.search(rf"\b{_either_case(phrase)}\b", text)
            if found is None:
                continue
            if rng.random() < _CHANGED:
                other = str(group[int(rng.integers(len(group)))])
                capital = found.group()[0].isupper()
                other = other[0].upper() + other[1:] if capital else other
                text = text[: found.start()] + other + text[found.end() :]
            break
    if rng.random() < _SWAPPED:
        text = _LABEL_PAIR.sub(r"\2\1SPEECH", text)
    opener, closer = (
        str(rules[name][int(rng.integers(len(rules[name])))]) for name in ("openers", "closers")
    )
    return clean_text(f"{opener} {text} {closer}")


def _either_case(phrase: str) -> str:
    """Return a pattern that accepts the first letter in either case."""
    return f"[{phrase[0].upper()}{phrase[0]}]{re.escape(phrase[1:])}"


@cache
def _rules() -> dict[str, Any]:
    text = files("qsm_core.prompting").joinpath("paraphrases.json").read_text(encoding="utf-8")
    rules: dict[str, Any] = json.loads(text)
    return rules
