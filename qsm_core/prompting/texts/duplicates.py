"""Texts that are nearly equal: scoring both would cost twice for one answer.

Two texts are the same where they differ in case, spacing and punctuation only, and nearly the same
where the cosine of their counts of character 3- to 5-grams (within words, of the same normalised
text) is 0.95 or more. At 0.95 the same sentences in another order are refused, and "Classify this
audio as SPEECH or NONSPEECH" beside "Classify this audio: SPEECH or NONSPEECH"; one other content
word in a sentence lies below it, and the fixed templates have at most 0.69 among each other.
"""

from __future__ import annotations

from collections import Counter
from math import sqrt

from qsm_core.prompting.texts.candidates import same_text_key

NEAR = 0.95
_SHORTEST, _LONGEST = 3, 5


class KnownTexts:
    """The texts of a search, numbered in the order in which they were added."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self._grams: list[Counter[str]] = []

    def add(self, text: str) -> None:
        """Remember a text under the next number."""
        key = same_text_key(text)
        self._keys.setdefault(key, len(self._grams))
        self._grams.append(_count_grams(key))

    def twin_of(self, text: str) -> str | None:
        """Return which earlier text a text repeats, or None."""
        key = same_text_key(text)
        if key in self._keys:
            return f"was there before: candidate {self._keys[key]}"
        grams = _count_grams(key)
        likeness = [_cosine(grams, known) for known in self._grams]
        if likeness and max(likeness) >= NEAR:
            number = likeness.index(max(likeness))
            return f"nearly candidate {number}: cosine {max(likeness):.3f} of {NEAR}"
        return None


def _count_grams(text: str) -> Counter[str]:
    words = [f" {word} " for word in text.split()]
    return Counter(
        word[start : start + size]
        for word in words
        for size in range(_SHORTEST, _LONGEST + 1)
        for start in range(max(1, len(word) - size + 1))
    )


def _cosine(first: Counter[str], second: Counter[str]) -> float:
    product = sum(count * second[gram] for gram, count in first.items())
    norms = sum(n * n for n in first.values()) * sum(n * n for n in second.values())
    return product / sqrt(norms) if norms else 0.0
