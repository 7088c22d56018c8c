"""Score instructions on blocks of dev, each pair of an instruction and a block only once.

The audio of dev is encoded once. Instructions that are requested together share one pass over
system turn and audio. Predictions are kept on disk by instruction and block, so that neither a
resumed search nor another search over the same texts scores them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.evaluation.predictions.table import COLUMNS, validate
from qsm_core.evaluation.scoring.block_scoring import predictions_of
from qsm_core.evaluation.scoring.blocks import BlockFolder
from qsm_core.evaluation.scoring.instructions import instruction_digest
from qsm_core.inference.scoring import AudioFeatures, InstructionScorer
from qsm_core.prompting.search.dev_blocks import DevBlocks

_CANDIDATE = "candidate"
_PLANNED = ["clip_id", "group_id", "label", "condition"]


@dataclass(frozen=True, eq=False)
class DevScorer:
    """Scores instructions on dev.

    Attributes:
        dev: The rows.
        score: Returns the predictions of each text on the rows of a block.
        folder: Where predictions are kept.
        at_once: The most instructions in one call of `score`.
    """

    dev: DevBlocks
    score: Callable[[Sequence[str], int], list[pd.DataFrame]]
    folder: Path
    at_once: int

    def predictions(self, texts: Sequence[str], block: int) -> list[pd.DataFrame]:
        """Return the predictions of each instruction on a block, which are then on disk."""
        planned = self.dev.plan.iloc[self.dev.blocks[block]][_PLANNED].reset_index(drop=True)
        tables = {text: self._kept(text).load(block, planned, COLUMNS) for text in texts}
        missing = [text for text in texts if tables[text] is None]
        for first in range(0, len(missing), self.at_once):
            group = missing[first : first + self.at_once]
            for text, table in zip(group, self.score(group, block), strict=True):
                self._kept(text).store(block, table)
                tables[text] = table
        return _validated([table for table in tables.values() if table is not None])

    def _kept(self, text: str) -> BlockFolder:
        return BlockFolder(self.folder / instruction_digest(text))


def _validated(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Check the tables of a block in one go, which takes little longer than checking one of them.

    A predictions table has each row once, so that each of them is a system of its own meanwhile.
    """
    numbered = [table.assign(system=str(place)) for place, table in enumerate(tables)]
    whole = validate(pd.concat(numbered, ignore_index=True))
    ends = [0, *np.cumsum([len(table) for table in tables])]
    parts = [whole.iloc[first:last] for first, last in pairwise(ends)]
    return [part.reset_index(drop=True).assign(system=_CANDIDATE) for part in parts]


def score_blocks(
    scorer: InstructionScorer, features: AudioFeatures, dev: DevBlocks, answer_format: str
) -> Callable[[Sequence[str], int], list[pd.DataFrame]]:
    """Return a function that scores texts on the rows of a block."""

    def score(texts: Sequence[str], block: int) -> list[pd.DataFrame]:
        rows = dev.blocks[block]
        plan = dev.plan.iloc[rows].reset_index(drop=True)
        answers = scorer.score_many(features.take(rows), texts, answer_format)
        return [
            predictions_of(plan, scores, _CANDIDATE, text)[list(COLUMNS)]
            for text, scores in zip(texts, answers, strict=True)
        ]

    return score
