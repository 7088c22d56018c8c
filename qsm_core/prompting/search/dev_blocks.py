"""Dev as a search sees it: blocks of rows, and the answers of candidates to them so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from qsm_core.prompting.search.row_values import Answers, Rows


@dataclass(frozen=True, eq=False)
class DevBlocks:
    """All clip-conditions of dev, in blocks.

    Attributes:
        plan: Rows of `plan_renderings`.
        blocks: Positions in the plan, block by block.
        race_blocks: The most blocks of a race; finalists are scored on all blocks.
    """

    plan: pd.DataFrame
    blocks: tuple[np.ndarray, ...]
    race_blocks: int

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """How many rows the first 0, 1, 2, ... blocks have together."""
        return (0, *np.cumsum([len(block) for block in self.blocks]).tolist())

    @cached_property
    def rows(self) -> Rows:
        """All rows, in the order of the blocks."""
        return Rows.of(self.plan).take(np.concatenate(self.blocks))

    def rows_until(self, block: int) -> Rows:
        """Return the rows of the blocks before `block`."""
        return self.rows.take(np.arange(self.ends[block]))

    def rows_between(self, first: int, last: int) -> int:
        """Return the number of rows of the blocks from `first` to before `last`."""
        return self.ends[last] - self.ends[first] if last > first else 0


class Scoreboard:
    """The predictions of the candidates of a search, block by block from the first."""

    def __init__(self) -> None:
        self._tables: dict[int, list[pd.DataFrame]] = {}
        self._answers: dict[int, list[Answers]] = {}

    def add(self, number: int, predictions: pd.DataFrame) -> None:
        """Add the predictions of a candidate on its next block."""
        self._tables.setdefault(number, []).append(predictions)
        self._answers.setdefault(number, []).append(Answers.of(predictions))

    def blocks_of(self, number: int) -> int:
        """Return on how many blocks a candidate was scored."""
        return len(self._tables.get(number, ()))

    def answers(self, number: int, blocks: int) -> Answers:
        """Return the answers of a candidate to the first blocks, in the order of the blocks."""
        parts = self._answers[number][:blocks]
        return Answers(
            np.concatenate([part.correct for part in parts]),
            np.concatenate([part.margin for part in parts]),
        )

    def predictions(self, number: int) -> pd.DataFrame:
        """Return all predictions of a candidate."""
        return pd.concat(self._tables[number], ignore_index=True)

    def fewest_blocks(self, numbers: Sequence[int]) -> int:
        """Return how many blocks all of these candidates were scored on."""
        return min(self.blocks_of(number) for number in numbers)
