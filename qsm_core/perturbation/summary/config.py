"""Configuration of the tables of an experiment; nothing large is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.perturbation.config import PerturbModel


@dataclass(frozen=True)
class SummarizePerturbation:
    """Configuration of the stage `summarize_perturbation`.

    Args:
        name: Of the experiment.
        model: As the user named it.
        cells: How the cells were made; says which conditions and prompts belong to it.
        others: Names of further runs that stand beside it, one for each input `other_0` and so on.
        image: Name of the picture's file.
        confidence: Of the intervals.
    """

    name: str
    model: str
    cells: PerturbModel
    others: tuple[str, ...] = field(default_factory=tuple)
    image: str | None = None
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95


def other_input(number: int) -> str:
    """Return the name of the input that holds another run's rows."""
    return f"other_{number}"
