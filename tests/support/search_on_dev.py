"""A dev set without audio, on which every instruction has answers that depend on its text alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.predictions.table import validate
from qsm_core.prompting.search.blocks import blocks_within, deal_blocks
from qsm_core.prompting.search.dev_blocks import DevBlocks
from qsm_core.prompting.search.instruction_search import InstructionSearch

CLIPS, CONDITIONS, BLOCK_CLIPS, RACE_CLIPS = 20, 3, 12, 36


def make_dev() -> DevBlocks:
    """Return 20 clips in 3 conditions in 5 blocks, of which a race has 3."""
    plan = pd.DataFrame(
        [
            {
                "row": clip,
                "clip_id": f"c{clip}",
                "group_id": f"g{clip}",
                "label": ("SPEECH", "NONSPEECH")[clip % 2],
                "condition": f"snr_{key}dB",
                "dimension": "snr",
                "duration_ms": None,
                "snr_db": float(key),
                "t60_s": None,
                "band": None,
            }
            for clip in range(CLIPS)
            for key in range(CONDITIONS)
        ]
    )
    blocks = deal_blocks(plan, BLOCK_CLIPS, seed=1)
    return DevBlocks(plan, blocks, blocks_within(blocks, RACE_CLIPS))


DEV = make_dev()
_ANSWERS: dict[tuple[str, int, float], pd.DataFrame] = {}


def word_of(number: int) -> str:
    """Return a word that is unlike that of any other number: no two texts with it are twins."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:20]


def worth(text: str) -> float:
    """Return a share of right answers from 0.5 to 1."""
    return 0.5 + int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") / 2**33


def answers(text: str, block: int, share: float) -> pd.DataFrame:
    """Return predictions on a block that are right with a probability of `share`."""
    known = _ANSWERS.get((text, block, share))
    if known is not None:
        return known
    seed = int.from_bytes(hashlib.sha256(f"{text}{block}".encode()).digest()[:4], "big")
    plan = DEV.plan.iloc[DEV.blocks[block]].reset_index(drop=True)
    right = np.random.default_rng(seed).random(len(plan)) < share
    is_speech = (plan["label"] == "SPEECH").to_numpy()
    margin = np.where(right == is_speech, 1.0, -1.0)
    columns: dict[str, Any] = {
        "system": "candidate",
        "instruction_digest": hashlib.sha256(text.encode()).hexdigest(),
        "p_speech": 1 / (1 + np.exp(-margin)),
        "margin": margin,
        "prediction": np.where(margin > 0, "SPEECH", "NONSPEECH"),
        "raw_text": "",
        "parse_level": "constrained",
    }
    _ANSWERS[text, block, share] = validate(plan.drop(columns="row").assign(**columns))
    return _ANSWERS[text, block, share]


class Work:
    """Scores what a search asks for and keeps it, as a folder does that survives a kill.

    Attributes:
        scored: Clip-prompts that were not there yet.
    """

    def __init__(self, share_of: Callable[[str], float] = worth) -> None:
        self.scored = 0
        self._share_of = share_of
        self._kept: set[tuple[str, int]] = set()

    def predictions(self, text: str, block: int) -> pd.DataFrame:
        """Return the predictions of an instruction on a block."""
        if (text, block) not in self._kept:
            self._kept.add((text, block))
            self.scored += len(DEV.blocks[block])
        return answers(text, block, self._share_of(text))

    def go(self, search: InstructionSearch) -> InstructionSearch:
        """Go through a search to its end."""
        while (job := search.ask()) is not None:
            search.tell([self.predictions(text, job.block) for text in job.texts])
        return search
