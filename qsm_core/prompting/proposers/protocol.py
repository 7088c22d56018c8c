"""What a proposer is, and several of them in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from qsm_core.prompting.scored import ScoredCandidate
from qsm_core.prompting.texts.candidates import Candidate, Refusal


class Proposer(Protocol):
    """Proposes instructions, given those that were scored."""

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return about `count` candidates, and what the proposer itself refuses of its ideas.

        Args:
            history: Every candidate scored so far, in order, with its measures by condition.
            count: How many are wanted.
            rng: The only source of randomness.
        """


class Chain:
    """Asks several proposers in turn until there are enough candidates."""

    def __init__(self, proposers: Sequence[Proposer]) -> None:
        self._proposers = tuple(proposers)

    def propose(
        self, history: Sequence[ScoredCandidate], count: int, rng: np.random.Generator
    ) -> list[Candidate | Refusal]:
        """Return candidates of the first proposer, then of the next, up to `count`."""
        found: list[Candidate | Refusal] = []
        for proposer in self._proposers:
            missing = count - sum(isinstance(one, Candidate) for one in found)
            if missing > 0:
                found += proposer.propose(history, missing, rng)
        return found
