"""The answers of one system to clips in conditions: scored now, or already known."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.data.corpus import Corpus
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.predictions.table import validate
from qsm_core.evaluation.scoring.block_scoring import Block, BlockScorer
from qsm_core.evaluation.scoring.config import ScoringConfig
from qsm_core.evaluation.scoring.renderings import load_rir_bank, plan_renderings
from qsm_core.inference.answers import answer_choices
from qsm_core.inference.scorer_loading import SYSTEM_FILE
from qsm_core.stage.context import StageContext
from qsm_core.store.layout import VOLATILE_FOLDER

TIMINGS_FILE = "timings.json"


@dataclass(frozen=True)
class ScoredClips:
    """The answers of one system, and how they were obtained.

    Args:
        predictions: The predictions table, clip by clip in the order of the corpus.
        system: Device, dtype, placement and notes of the model that answered.
        timings: Seconds, batch size, and how many blocks already existed.
    """

    predictions: pd.DataFrame
    system: dict[str, Any]
    timings: dict[str, Any]

    @property
    def asked(self) -> int:
        """How many predictions the model made now; the others were already known."""
        return int(self.timings["asked"])

    @property
    def answer_mass(self) -> float | None:
        """Mean probability of the allowed answers, None if it is not known for any."""
        mass = self.predictions["answer_mass"].mean()
        return None if pd.isna(mass) else float(mass)

    def write_notes(self, out: Path) -> None:
        """Write what may differ between two equal runs to the volatile folder of an output."""
        folder = out / VOLATILE_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for name, values in ((TIMINGS_FILE, self.timings), (SYSTEM_FILE, self.system)):
            text = json.dumps(values, indent=2) + "\n"
            (folder / name).write_text(text, encoding="utf-8")


def score_clips(
    config: ScoringConfig,
    context: StageContext,
    texts: Mapping[str, str],
    *,
    shard: int = 0,
    shards: int = 1,
) -> ScoredClips:
    """Score the clips of one shard, or of the whole evaluation.

    The paths in `context.runtime["parts"]` are outputs in which a part of the same answers may
    already be. The model is loaded for the first block that none of them contains.

    Args:
        config: How clips are scored.
        context: Context of the stage.
        texts: The instructions, each by the name that its answers have as a system.
        shard: Which shard, from 0.
        shards: How many there are; the blocks are dealt to them in turn.

    Raises:
        InterruptedStageError: The stage was asked to stop; every scored block is kept.
        ConfigurationError: The configuration cannot work, or there are more shards than blocks.
        DataError: The corpus, its split or a condition cannot be used.
        ModelError: The model or the adapter cannot be used.
    """
    started = time.monotonic()
    for text in texts.values():
        answer_choices(text, config.answer_format)  # raises before anything is loaded
    corpus = Corpus.open(context.inputs["corpus"])
    plan = plan_renderings(corpus, config.conditions, config.split)
    rirs = load_rir_bank(context.inputs.get("rirs"))
    blocks = _dealt(list(enumerate(_cut_into_blocks(plan, config.block_clips))), shard, shards)
    scorer = BlockScorer(config, context, corpus, rirs, texts)
    tables = list(scorer.tables(blocks))
    return ScoredClips(
        predictions=validate(pd.concat(tables, ignore_index=True)),
        system=scorer.system,
        timings={**scorer.timings, "seconds": time.monotonic() - started},
    )


def _dealt(blocks: list[Block], shard: int, shards: int) -> list[Block]:
    """Return the blocks of one shard; the sizes of shards differ by at most one block."""
    if not 0 <= shard < shards <= len(blocks):
        problem = f"shard {shard} of {shards}: the clips make {len(blocks)} blocks, one shard each"
        raise ConfigurationError("the evaluation cannot be divided", [problem])
    return blocks[shard::shards]


def _cut_into_blocks(plan: pd.DataFrame, block_clips: int) -> Iterator[pd.DataFrame]:
    """Cut a plan into blocks of `block_clips` corpus rows each."""
    position = plan["row"].rank(method="dense").astype(int) - 1
    for _, rows in plan.groupby(position // block_clips, sort=True):
        yield rows.reset_index(drop=True)
