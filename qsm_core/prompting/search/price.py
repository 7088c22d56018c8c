"""What a search and its controls cost at most, and what a search costs at least.

Both are known before a search starts, once the size of dev is.
Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qsm_core.data.clip_counts import count_renderings
from qsm_core.prompting.config import ASK_AGAIN, ASKING, OptimizePrompt
from qsm_core.stage.workload import PlannedInput, Row, Work

_RULES = "by rules"
_UNKNOWN = "known once its inputs are made"
_TABLE = "Prompt searches, at most"


@dataclass(frozen=True)
class Price:
    """What one way to an instruction costs at most.

    Attributes:
        way: In words.
        clip_prompts: None where that is unknown until the corpus is made.
        llm_answers: Of the optimizer LLM; invalid ones and repetitions are requested again.
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
    """Count the clip-prompts of a search and its controls, at most; the details say of which."""
    pairs = count_renderings(inputs.get("corpus"), "dev", config.conditions)
    prices = prices_of(config, pairs)
    rows = tuple(price.row for price in prices)
    amount = None if pairs is None else sum(price.clip_prompts or 0 for price in prices)
    return Work(amount, "predictions", at_most=True, details={_TABLE: rows})


def prices_of(config: OptimizePrompt, pairs: int | None) -> tuple[Price, ...]:
    """Return what the search and each of its controls cost at most.

    Args:
        config: Of the search.
        pairs: Clip-conditions of dev; None: not known yet.
    """
    asking = ASKING & set(config.proposers) if config.optimizer else frozenset()
    answers = config.iterations * config.candidates * ASK_AGAIN
    most = None if pairs is None else _clip_prompts(config, pairs)
    prices = [Price(f"search: {', '.join(config.proposers)}", most, answers * len(asking))]
    for control in config.controls:
        if control != "paraphrases":
            prices.append(Price(f"control: {control}", most, 0))
            continue
        who = "by the optimizer LLM" if asking else _RULES
        prices.append(Price(f"control: {control} {who}", most, answers if asking else 0))
    return tuple(prices)


def rows_of_each(fewest: int, queues: int, block_clips: int) -> int:
    """Return how many rows of each condition and class a block of dev holds.

    Args:
        fewest: Rows of the condition and class that has the fewest.
        queues: Conditions times classes.
        block_clips: About how many rows a block is to have.
    """
    return min(fewest, max(1, round(block_clips / queues)))


def least_budget(whole: int, first_block: int, candidates: int, finalists: int) -> int:
    """Return the clip-prompts of one step, and of seed instruction and finalists on all of dev.

    Args:
        whole: Clip-conditions of dev.
        first_block: Those of the first block, on which every new candidate is scored.
        candidates: New ones in a step.
        finalists: Scored on all of dev beside the seed instruction.
    """
    return candidates * first_block + (1 + finalists) * whole


def budget_problem(
    name: str, budget: int, *, whole: int, first_block: int, candidates: int, finalists: int
) -> str | None:
    """Say what is wrong with a budget that holds no step, or None.

    Args:
        name: Of the field.
        budget: In clip-prompts.
        whole: As in `least_budget`, like all that follows.
        first_block: Clip-conditions of the first block.
        candidates: New ones in a step.
        finalists: Beside the seed instruction.
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
    """Return what a search scores at most; a control may spend as much as the search did."""
    each = min(pairs, config.clips or pairs)
    finalists = 1 + config.finalists  # and the seed instruction
    most = config.most_candidates * each + finalists * (pairs - each)
    return min(most, config.budget or most)
