"""The interface of a text language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class TextLLM(Protocol):
    """Answers one user turn.

    Attributes:
        at_once: How many answers are best requested in one call; None: any number.
    """

    at_once: int | None

    def answers(self, prompt: str, seeds: Sequence[int]) -> list[str]:
        """Return one answer a seed, as the model wrote them; any of them may be empty.

        Args:
            prompt: The user turn.
            seeds: Sampling seeds, each in 0 .. 2**31 - 1. A server may ignore them.

        Raises:
            QsmError: The model cannot be used, or did not answer.
        """
