"""Random paraphrases of the seed instruction: what other wording alone brings.

Scores play no part in them, so a search over paraphrases is the control of one that learns from
scores. An optimizer LLM writes them where there is one; else phrases that mean the same are
exchanged (`paraphrases.json`), something short is put before or behind, and the labels may change
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
from qsm_core.prompting.proposers.opro import ask_in_portions, sanitized
from qsm_core.prompting.scored import ScoredCandidate
from qsm_core.prompting.texts.candidates import (
    Candidate,
    Refusal,
    clean_text,
    same_text_key,
    text_problem,
)

_TRIES = 40
_CHANGED = 0.7  # chance that a phrase is exchanged
_SWAPPED = 0.3  # chance that the labels change places
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
            llm: Writes the paraphrases; None: rules do.
            before_call: Is called before each call of the LLM, and may end the search.
        """
        self._llm = llm
        self._before_call = before_call

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return `count` paraphrases, or fewer where the rules find no more."""
        if not history:
            return []
        text = history[0].candidate.text
        if self._llm is not None:
            seeds = [int(seed) for seed in rng.integers(_NUM_SEEDS, size=count)]
            request = _REQUEST.format(text=text, max_chars=LONGEST_INSTRUCTION)
            answers = ask_in_portions(self._llm, request, seeds, self._before_call)
            return [one for a in answers for one in sanitized(a, text, "paraphrase by the LLM")]
        seen = {same_text_key(entry.candidate.text) for entry in history}
        found: list[Candidate | Refusal] = []
        for _ in range(_TRIES * count):
            other = paraphrase(text, rng)
            if same_text_key(other) not in seen and text_problem(other) is None:
                seen.add(same_text_key(other))
                found.append(Candidate(other, "paraphrase"))
            if len(found) == count:
                break
        return found


def paraphrase(text: str, rng: np.random.Generator) -> str:
    """Return a text with phrases exchanged by others that mean the same.

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
    """Return a pattern that takes the first letter small or capital."""
    return f"[{phrase[0].upper()}{phrase[0]}]{re.escape(phrase[1:])}"


@cache
def _rules() -> dict[str, Any]:
    text = files("qsm_core.prompting").joinpath("paraphrases.json").read_text(encoding="utf-8")
    rules: dict[str, Any] = json.loads(text)
    return rules
