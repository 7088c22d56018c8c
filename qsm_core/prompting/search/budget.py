"""The budget of a search, in clip-prompts: one clip in one condition under one instruction."""

from __future__ import annotations

from collections.abc import Sequence

from qsm_core.errors import ConfigurationError
from qsm_core.prompting.search.dev_blocks import DevBlocks
from qsm_core.prompting.search.price import budget_problem, least_budget


class Budget:
    """A number of clip-prompts that is never exceeded.

    The cost of scoring the finalists on all of dev is reserved before anything else is spent, so
    that a search that runs out of budget still ends with scores on all of dev.
    """

    def __init__(self, limit: int | None, dev: DevBlocks, finalists: int) -> None:
        """Start with nothing spent; a limit of None is no limit."""
        self.limit = limit
        self.spent = 0
        self._dev = dev
        self._finalists = finalists

    def check(self, candidates: int) -> None:
        """Refuse a budget that is too small for one step.

        Raises:
            ConfigurationError: It is too small; the error names the least.
        """
        if self.limit is None:
            return
        problem = budget_problem(
            "budget",
            self.limit,
            whole=self._dev.ends[-1],
            first_block=self._dev.ends[1],
            candidates=candidates,
            finalists=self._finalists,
        )
        if problem is not None:
            raise ConfigurationError("the search has too small a budget", [problem])

    def least(self, candidates: int) -> int:
        """Return the cost of a step, plus seed instruction and finalists on all of dev."""
        ends = self._dev.ends
        return least_budget(ends[-1], ends[1], candidates, self._finalists)

    def affords(
        self, seed: int, others: Sequence[int], until: int, *, seed_races: bool = True
    ) -> bool:
        """Return whether candidates can be scored on the first blocks, and finalists on all of dev.

        Args:
            seed: How many blocks the seed instruction has been scored on.
            others: The same for each other candidate that is to be scored on these blocks.
            until: How many blocks all of them are to be scored on.
            seed_races: Whether the seed instruction is, too.
        """
        if self.limit is None:
            return True
        racing = (seed, *others) if seed_races else others
        cost = sum(self._dev.rows_between(done, until) for done in racing)
        after = [max(done, until) for done in others]
        seed_after = max(seed, until) if seed_races else seed
        seed_left = self._dev.rows_between(seed_after, len(self._dev.blocks))
        return self.spent + cost + seed_left + self._reserve(after) <= self.limit

    def most(self, num_candidates: int) -> int:
        """Return the most clip-prompts that a search over this many candidates scores."""
        raced = num_candidates * self._dev.ends[self._dev.race_blocks]
        left = self._dev.rows_between(self._dev.race_blocks, len(self._dev.blocks))
        finals = left * min(1 + self._finalists, num_candidates)
        return raced + finals if self.limit is None else min(self.limit, raced + finals)

    def spend(self, clip_prompts: int) -> None:
        """Count what was scored."""
        self.spent += clip_prompts

    def _reserve(self, blocks_done: Sequence[int]) -> int:
        """Return the most that the finalists need, whichever candidates they will be."""
        whole = len(self._dev.blocks)
        left = sorted(self._dev.rows_between(done, whole) for done in blocks_done)[::-1]
        missing = self._finalists - len(left)
        return sum(left[: self._finalists]) + max(0, missing) * self._dev.ends[-1]
