"""Parameters of the dice system. Nothing here imports Prefect, so that `--help` answers at once."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from flows.form.validation import validated
from flows.run.settings import RunSettings
from tests.support.dice.core import ThrowConfig

PANELS = {"throws": "Dice", "seed": "Run"}


class DiceParameters(RunSettings):
    """Throw dice and report what they showed."""

    throws: int = Field(ThrowConfig.throws, ge=1, description="How often dice are thrown.")
    sides: int = Field(ThrowConfig.sides, ge=2, description="Sides of a die.")
    shards: int = Field(1, ge=1, description="Workers that the throws are spread over.")
    seconds: float = Field(0.0, ge=0, description="How long a block of throws takes.")


def parse_dice_parameters(values: dict[str, Any]) -> DiceParameters:
    """Validate `values`, and name the run."""
    parameters = validated(DiceParameters, values)
    return parameters.model_copy(update={"name": parameters.name or f"dice-seed{parameters.seed}"})
