"""New instructions from sentences of the best ones."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qsm_core.inference.config import LONGEST_INSTRUCTION
from qsm_core.prompting.candidate_scores import ScoredCandidate
from qsm_core.prompting.texts.candidates import Candidate, Refusal

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_FEWEST_WORDS = 3  # of a sentence that makes sense on its own
_LABEL_WORD = re.compile(r"\bSPEECH\b|\bNON-?SPEECH\b|\b[A-D]\)", re.IGNORECASE)
# The beginning of a sentence that makes no sense without the one before it.
_BOUND = re.compile(r"(with such|if (that|it|so|this)|then|now|otherwise)\b", re.IGNORECASE)
_TRIES = 20


class RecombinationProposer:
    """Combines sentences of the best instructions into new instructions.

    An instruction is cut into the part that says how to answer (from the first sentence with a
    label word to the last) and the sentences around it. A child takes the answering part of one
    parent and up to two other sentences of any; better parents are drawn more often.
    """

    def __init__(self, num_parents: int = 6) -> None:
        self._num_parents = num_parents

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return `count` children that differ from each other and from the history, or fewer."""
        parents = sorted(history, key=lambda entry: (-entry.score, entry.number))
        parents = parents[: self._num_parents]
        if not parents:
            return []
        seen = {entry.candidate.text for entry in history}
        children: list[Candidate | Refusal] = []
        for _ in range(_TRIES * count):
            child = _child(parents, rng)
            if child.text not in seen and len(child.text) <= LONGEST_INSTRUCTION:
                seen.add(child.text)
                children.append(child)
            if len(children) == count:
                break
        return children


def split_instruction(text: str) -> tuple[list[str], str]:
    """Return the sentences around the answering part, and that part.

    The answering part reaches from the first sentence with a label word to the last one, so that
    `Answer SPEECH when you hear a voice. When in doubt, answer NONSPEECH.` stays in one piece. A
    sentence that depends on the one before it (`If that is so, answer SPEECH`) includes that one.
    """
    sentences = [sentence for sentence in _SENTENCE_END.split(text) if sentence]
    places = [i for i, sentence in enumerate(sentences) if _LABEL_WORD.search(sentence)]
    if not places:
        return sentences, ""
    first, last = places[0], places[-1]
    while first > 0 and _BOUND.match(sentences[first]):
        first -= 1
    return sentences[:first] + sentences[last + 1 :], " ".join(sentences[first : last + 1])


def _child(parents: Sequence[ScoredCandidate], rng: np.random.Generator) -> Candidate:
    weights = 1.0 / np.arange(1, len(parents) + 1)
    weights /= weights.sum()
    answering_parent = parents[int(rng.choice(len(parents), p=weights))]
    _, answering = split_instruction(answering_parent.candidate.text)
    pool = [
        (parent.number, sentence)
        for parent in parents
        for sentence in split_instruction(parent.candidate.text)[0]
        if len(sentence.split()) >= _FEWEST_WORDS
    ]
    size = min(int(rng.integers(0, 3)), len(pool))
    chosen = [pool[int(i)] for i in rng.choice(len(pool), size=size, replace=False)] if size else []
    sentences = list(dict.fromkeys(sentence for _, sentence in chosen))
    numbers = sorted({answering_parent.number, *(number for number, _ in chosen)})
    text = " ".join([*sentences, answering])
    return Candidate(text, f"recombination of {', '.join(map(str, numbers))}")
