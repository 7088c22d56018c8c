"""What a search does unless it is told otherwise, and what it costs at least.

Forms and plans read it too, so it imports nothing.
"""

from __future__ import annotations

from typing import Literal, get_args

ControlName = Literal["templates", "paraphrases"]

CONTROLS: tuple[ControlName, ...] = get_args(ControlName)
ALPHA = 0.2
BLOCK_CLIPS = 30
FINALISTS = 2
ASK_AGAIN = 3  # times a proposer is asked to fill a step with texts that are new


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
