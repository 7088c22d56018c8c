"""What a text shows without a model: is it right, does it repeat itself, how long is it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")


@dataclass(frozen=True)
class TextMeasures:
    """Measures of one text.

    Attributes:
        words: How many there are.
        distinct_1: Different words over words; None without a word.
        distinct_2: Different pairs of neighbours over pairs; None without a pair.
        repeated_4: Share of the sequences of four words that were there before; None without one.
        is_right: Whether it gives a right answer; None where none is known.
    """

    words: int
    distinct_1: float | None
    distinct_2: float | None
    repeated_4: float | None
    is_right: bool | None


def measure_text(text: str, answers: Sequence[str] = ()) -> TextMeasures:
    """Measure a text.

    Args:
        text: As it was generated.
        answers: Any of which counts as right.
    """
    words = [one.lower() for one in _WORD.findall(text)]
    repeated = _distinct(words, 4)
    return TextMeasures(
        words=len(words),
        distinct_1=_distinct(words, 1),
        distinct_2=_distinct(words, 2),
        repeated_4=None if repeated is None else 1 - repeated,
        is_right=is_right(text, answers) if answers else None,
    )


def is_right(text: str, answers: Sequence[str]) -> bool:
    """Say whether an answer stands in a text as words or a number of its own, in any case.

    It may stand anywhere, since a model may write its working first. 12 is not found in 312, 12.5
    or 1,200.
    """
    flat = " ".join(text.lower().split())
    return any(_found(flat, answer.lower()) for answer in answers)


def _found(text: str, answer: str) -> bool:
    if re.fullmatch(r"\d+", answer):
        pattern = rf"(?<![\w.,-])0*{answer}(?:\.0+)?(?![\w]|[.,]\d)"
        return re.search(pattern, text.replace("\u2212", "-")) is not None
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text) is not None


def _distinct(words: list[str], length: int) -> float | None:
    found = [tuple(words[begin : begin + length]) for begin in range(len(words) - length + 1)]
    return len(set(found)) / len(found) if found else None
