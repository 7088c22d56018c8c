"""The interface of a proposer, and a chain of several proposers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from qsm_core.prompting.candidate_scores import ScoredCandidate
from qsm_core.prompting.texts.candidates import Candidate, Refusal


class Proposer(Protocol):
    """Proposes instructions, given those that were scored."""

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return about `count` candidates, and the texts that the proposer itself refuses.

        Args:
            history: Every candidate scored so far, in order, with its measures by condition.
            count: How many candidates are needed.
            rng: The only source of randomness.
        """


class Chain:
    """Uses several proposers in turn until there are enough candidates."""

    def __init__(self, proposers: Sequence[Proposer]) -> None:
        self._proposers = tuple(proposers)

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return candidates of the first proposer, then of the next, up to `count`."""
        proposed: list[Candidate | Refusal] = []
        for proposer in self._proposers:
            missing = count - sum(isinstance(item, Candidate) for item in proposed)
            if missing > 0:
                proposed += proposer.propose(history, missing, rng)
        return proposed
