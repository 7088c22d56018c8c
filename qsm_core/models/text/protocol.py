"""The interface of a text language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """One answer of a text LLM.

    Attributes:
        text: As the model wrote it; may be empty.
        fault: Why the text is not a whole answer, such as "was cut off at 256 tokens"; empty if it
            is one.
    """

    text: str
    fault: str = ""


class TextLLM(Protocol):
    """Answers one user turn.

    Attributes:
        at_once: How many answers are best requested in one call; None: any number.
    """

    at_once: int | None

    def answers(self, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        """Return one answer a seed.

        Args:
            prompt: The user turn.
            seeds: Sampling seeds, each in 0 .. 2**31 - 1. A server may ignore them.

        Raises:
            QsmError: The model cannot be used, or did not answer.
        """
