"""Instructions scored on blocks of dev, each pair of an instruction and a block once.

The audio of dev is encoded once. Instructions that are asked for together share one pass over
system turn and audio. What was scored is kept on disk by instruction and block, so that neither a
killed search nor another search over the same texts pays again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
        at_once: Instructions in one call of `score` at most.
    """

    dev: DevBlocks
    score: Callable[[Sequence[str], int], list[pd.DataFrame]]
    folder: Path
    at_once: int

    def predictions(self, texts: Sequence[str], block: int) -> list[pd.DataFrame]:
        """Return the predictions of each instruction on a block; they are on disk then."""
        planned = self.dev.plan.iloc[self.dev.blocks[block]][_PLANNED].reset_index(drop=True)
        found = {text: self._kept(text).load(block, planned, COLUMNS) for text in texts}
        missing = [text for text in texts if found[text] is None]
        for first in range(0, len(missing), self.at_once):
            group = missing[first : first + self.at_once]
            for text, table in zip(group, self.score(group, block), strict=True):
                self._kept(text).store(block, table)
                found[text] = table
        return [validate(table) for table in found.values() if table is not None]

    def _kept(self, text: str) -> BlockFolder:
        return BlockFolder(self.folder / instruction_digest(text))


def score_blocks(
    scorer: InstructionScorer, features: AudioFeatures, dev: DevBlocks, answer_format: str
) -> Callable[[Sequence[str], int], list[pd.DataFrame]]:
    """Return a function that has a model answer the rows of a block."""

    def score(texts: Sequence[str], block: int) -> list[pd.DataFrame]:
        rows = dev.blocks[block]
        plan = dev.plan.iloc[rows].reset_index(drop=True)
        answers = scorer.score_many(features.take(rows), texts, answer_format)
        return [
            predictions_of(plan, one, _CANDIDATE, text)[list(COLUMNS)]
            for text, one in zip(texts, answers, strict=True)
        ]

    return score
