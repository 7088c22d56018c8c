"""The most that a search and its controls can cost, and the least that a search costs.

Both follow from the settings and the size of dev, before a search starts.
Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qsm_core.data.clip_counts import count_renderings
from qsm_core.prompting.config import PROPOSAL_TRIES, USE_LLM, OptimizePrompt
from qsm_core.stage.workload import PlannedInput, Row, Work

_RULES = "by rules"
_UNKNOWN = "known once its inputs are made"
_TABLE = "Prompt searches, at most"


@dataclass(frozen=True)
class Price:
    """The most that one way to an instruction can cost.

    Attributes:
        way: In words.
        clip_prompts: None if unknown until the corpus is made.
        llm_answers: Answers of the optimizer LLM; invalid ones and repetitions are requested again.
    """

    way: str
    clip_prompts: int | None
    llm_answers: int

    @property
    def row(self) -> Row:
        """The price as a row of a table."""
        unknown = self.clip_prompts is None
        return {
            "way": self.way,
            "clip-prompts": _UNKNOWN if unknown else f"{self.clip_prompts:,}",
            "LLM answers": f"{self.llm_answers:,}" if self.llm_answers else "",
        }


def search_work(config: OptimizePrompt, inputs: Mapping[str, PlannedInput]) -> Work:
    """Return the most clip-prompts of a search and its controls; the details list each of them."""
    pairs = count_renderings(inputs.get("corpus"), "dev", config.conditions)
    prices = prices_of(config, pairs)
    rows = tuple(price.row for price in prices)
    amount = None if pairs is None else sum(price.clip_prompts or 0 for price in prices)
    return Work(amount, "predictions", at_most=True, details={_TABLE: rows})


def prices_of(config: OptimizePrompt, pairs: int | None) -> tuple[Price, ...]:
    """Return the most that the search and each of its controls can cost.

    Args:
        config: Of the search.
        pairs: Clip-conditions of dev; None: not known yet.
    """
    with_llm = USE_LLM & set(config.proposers) if config.optimizer else frozenset()
    answers = config.iterations * config.candidates * PROPOSAL_TRIES
    most = None if pairs is None else _clip_prompts(config, pairs)
    prices = [Price(f"search: {', '.join(config.proposers)}", most, answers * len(with_llm))]
    for control in config.controls:
        if control != "paraphrases":
            prices.append(Price(f"control: {control}", most, 0))
            continue
        who = "by the optimizer LLM" if with_llm else _RULES
        prices.append(Price(f"control: {control} {who}", most, answers if with_llm else 0))
    return tuple(prices)


def rows_of_each(fewest: int, queues: int, block_clips: int) -> int:
    """Return how many rows of each condition and class a block of dev holds.

    Args:
        fewest: Rows of the condition and class that has the fewest.
        queues: Conditions times classes.
        block_clips: Approximate number of rows of a block.
    """
    return min(fewest, max(1, round(block_clips / queues)))


def least_budget(whole: int, first_block: int, candidates: int, finalists: int) -> int:
    """Return the clip-prompts of one step, and of seed instruction and finalists on all of dev.

    Args:
        whole: Clip-conditions of dev.
        first_block: Those of the first block, on which every new candidate is scored.
        candidates: New candidates in a step.
        finalists: Candidates scored on all of dev, besides the seed instruction.
    """
    return candidates * first_block + (1 + finalists) * whole


def budget_problem(
    name: str, budget: int, *, whole: int, first_block: int, candidates: int, finalists: int
) -> str | None:
    """Return what is wrong with a budget that is too small for one step, or None.

    Args:
        name: Name of the field.
        budget: In clip-prompts.
        whole: As in `least_budget`, like all that follows.
        first_block: Clip-conditions of the first block.
        candidates: New candidates in a step.
        finalists: Besides the seed instruction.
    """
    least = least_budget(whole, first_block, candidates, finalists)
    if budget >= least:
        return None
    return (
        f"{name} = {budget}: the least is {least}, for {candidates} new candidates on a block of "
        f"{first_block} clip-conditions, and for the seed instruction and {finalists} finalists on "
        f"all {whole} of dev; empty has no limit"
    )


def _clip_prompts(config: OptimizePrompt, pairs: int) -> int:
    """Return the most that a search scores; a control may spend as much as the search did."""
    each = min(pairs, config.clips or pairs)
    finalists = 1 + config.finalists  # and the seed instruction
    most = config.most_candidates * each + finalists * (pairs - each)
    return min(most, config.budget or most)
