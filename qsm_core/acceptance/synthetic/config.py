"""Configuration of the cases that are made from templates; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from qsm_core.seeding import Seed

# Every case is a product of its own, and the pools of `pools.py` have so many of them.
MOST_TRAINING, MOST_EVALUATION = 108, 48


@dataclass(frozen=True)
class MakeCases:
    """Configuration of the stage `make_cases`.

    Args:
        seed: Of everything that is drawn.
        training: How many cases to train on.
        evaluation: How many cases to evaluate on; none of their products is in training.
        example: Whether prompts show the task's example of an answer; a model that was trained on
            these cases does not need it, and without it a prompt is half as long.
    """

    seed: Seed = 0
    training: Annotated[int, Field(ge=1, le=MOST_TRAINING)] = 96
    evaluation: Annotated[int, Field(ge=1, le=MOST_EVALUATION)] = 36
    example: bool = False
