"""Configuration of the cases that are made from templates; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.errors import ConfigurationError
from qsm_core.seeding import Seed

MadeTask = Literal["field-extraction", "product-owner"]
TRAINING_FILE, EVALUATION_FILE = "training.jsonl", "evaluation.jsonl"
# Every case of product-owner is a product of its own, and `pools.py` has so many of them.
MOST_PRODUCTS = {"training": 108, "evaluation": 48}


@dataclass(frozen=True)
class MakeCases:
    """Configuration of the stage `make_cases`.

    Args:
        task: For which of the tasks that come with qsm.
        seed: Of everything that is drawn.
        training: How many cases to train on.
        evaluation: How many cases to evaluate on; they share no group with those for training.
        example: Whether prompts of product-owner show the task's example of an answer; a model that
            was trained on these cases does not need it, and without it a prompt is half as long.

    Raises:
        ConfigurationError: There are not so many products.
    """

    task: MadeTask = "field-extraction"
    seed: Seed = 0
    training: Annotated[int, Field(ge=1, le=10_000)] = 96
    evaluation: Annotated[int, Field(ge=1, le=10_000)] = 48
    example: bool = False

    def __post_init__(self) -> None:
        problems = [
            f"{name} = {getattr(self, name)}: there are {most} products for {name}; take at most "
            "so many, or task 'field-extraction'"
            for name, most in MOST_PRODUCTS.items()
            if self.task == "product-owner" and getattr(self, name) > most
        ]
        if problems:
            raise ConfigurationError("so many cases cannot be made", problems)
