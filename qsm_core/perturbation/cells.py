"""The cells of an experiment: a condition at a level in one draw."""

from __future__ import annotations

from dataclasses import dataclass

from qsm_core.perturbation.config import Condition, PerturbModel, Quantization, WeightGroup
from qsm_core.seeding import derive_seed

CLEAN = "clean"


@dataclass(frozen=True)
class Cell:
    """One damaged model, of which every prompt is asked.

    Attributes:
        condition: What is damaged and how; None: nothing is.
        level: Exact; 0 for the clean model.
        level_index: Place of the level among those of its condition, from 0.
        draw: From 0. Draws have other damage and other texts.
        quantization: Of the loaded model, in place of damage.
    """

    condition: Condition | None
    level: float
    level_index: int
    draw: int
    quantization: Quantization = "none"

    @property
    def method(self) -> str | None:
        """What was done to the weights; None for the clean model."""
        if self.condition is not None:
            return self.condition.method
        return None if self.quantization == "none" else self.quantization

    @property
    def key(self) -> str:
        """What names the cell in records: exact, so that near levels do not meet."""
        if self.condition is None:
            loaded = CLEAN if self.quantization == "none" else self.quantization
            return f"{loaded}|{self.draw}"
        return f"{self.condition.method}|{self.condition.group.name}|{self.level!r}|{self.draw}"


def cells_of(config: PerturbModel) -> list[Cell]:
    """Return the cells of a shard: clean ones first, then by draw, condition and level."""
    cells = [Cell(None, 0.0, 0, draw, config.quantization) for draw in range(config.draws)]
    if config.quantization == "none":
        cells += [
            Cell(condition, float(level), index, draw)
            for draw in range(config.draws)
            for condition in config.conditions
            for index, level in enumerate(condition.levels)
            if level != 0
        ]
    return cells[config.shard :: config.shards]


def damage_seed(root: int, draw: int, tensor: str) -> int:
    """Return the seed of the damage to a tensor: no order, shard or other tensor changes it.

    It does not depend on the level: a draw is one direction of damage, followed at growing levels.
    """
    return derive_seed(root, "damage", draw, tensor)


def control_seed(root: int, draw: int, group: WeightGroup) -> int:
    """Return the seed that draws the weights of a control group."""
    return derive_seed(root, "control", draw, group.name)


def text_seed(root: int, draw: int, prompt_id: str) -> int:
    """Return the seed of a text: the same at each level, whatever else is in the batch."""
    return derive_seed(root, "text", draw, prompt_id)
