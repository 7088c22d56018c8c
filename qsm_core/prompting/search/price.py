"""What a search and its controls may cost, told before they start.

Plans are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qsm_core.prompting.proposer_names import ASKING
from qsm_core.prompting.search.defaults import ASK_AGAIN, CONTROLS, FINALISTS

_RULES = "by rules"


@dataclass(frozen=True)
class Price:
    """What one way to an instruction costs at most.

    Attributes:
        way: In words.
        clip_prompts: None where that is unknown until the corpus is made.
        llm_answers: Of the optimizer LLM; invalid ones and repetitions are asked for again.
    """

    way: str
    clip_prompts: int | None
    llm_answers: int


def prices_of(config: Mapping[str, Any], pairs: int | None) -> tuple[Price, ...]:
    """Return what the search and each of its controls cost at most.

    Args:
        config: Of the search.
        pairs: Clip-conditions of dev; None: not known yet.
    """
    names = list(config.get("proposers", ()))
    asking = ASKING & set(names) if config.get("optimizer") else frozenset()
    answers = int(config["num_iterations"]) * int(config["candidates_per_step"]) * ASK_AGAIN
    most = None if pairs is None else _clip_prompts(config, pairs)
    prices = [Price(f"search: {', '.join(names)}", most, answers * len(asking))]
    for control in config.get("controls", CONTROLS):
        if control != "paraphrases":
            prices.append(Price(f"control: {control}", most, 0))
            continue
        who = "by the optimizer LLM" if asking else _RULES
        prices.append(Price(f"control: {control} {who}", most, answers if asking else 0))
    return tuple(prices)


def _clip_prompts(config: Mapping[str, Any], pairs: int) -> int:
    """Return what a search scores at most; a control may spend as much as the search did."""
    each = min(pairs, int(config.get("clips_per_candidate") or pairs))
    candidates = 1 + int(config["num_iterations"]) * int(config["candidates_per_step"])
    finalists = 1 + int(config.get("finalists", FINALISTS))  # and the seed instruction
    most = candidates * each + finalists * (pairs - each)
    return min(most, int(config.get("budget") or most))
