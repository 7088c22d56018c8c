"""How a search over instructions goes."""

from __future__ import annotations

from dataclasses import dataclass

from qsm_core.prompting.search.defaults import ALPHA
from qsm_core.prompting.search.scored import Objective


@dataclass(frozen=True)
class SearchSettings:
    """How a search goes.

    Attributes:
        seed: Root of all randomness of the proposers.
        seed_instruction: What the search starts from and has to beat.
        num_iterations: How often the proposer is asked.
        candidates_per_step: New candidates in one iteration.
        objective: What is made best.
        patience: End after so many iterations without a better candidate; None: never.
        finalists: Best candidates that are scored on all of dev, beside the seed instruction.
        budget: Clip-prompts that the search may score, finals included; None: no limit.
        alpha: How often a candidate to which none is superior may be dropped in a race.
        length_penalty: What 100 characters take off the score.
    """

    seed: int
    seed_instruction: str
    num_iterations: int
    candidates_per_step: int
    objective: Objective
    patience: int | None
    finalists: int
    budget: int | None = None
    alpha: float = ALPHA
    length_penalty: float = 0.0
