"""What answers prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from qsm_core.acceptance.results.attempts import Attempt


@dataclass(frozen=True)
class Asked:
    """One prompt: of which case and attempt, and with which seed."""

    case_id: str
    prompt: str
    attempt: int
    seed: int


class AnsweringModel(Protocol):
    """Answers a batch of prompts."""

    def answer(self, asked: Sequence[Asked]) -> Iterator[Attempt]:
        """Yield an attempt for each prompt, as soon as it is there.

        Raises:
            ModelError: It cannot be used.
            TransientError: A server did not answer.
        """
