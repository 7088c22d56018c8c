"""How much work the stages that score clips have, and how it is divided into shards.

A prediction is one clip in one condition with one instruction. Plans are made in the flow process,
so nothing large is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from qsm_core.data.clip_counts import count_clips, count_planned_clips, count_renderings
from qsm_core.evaluation.scoring.config import (
    EvaluateConfig,
    FurtherConfig,
    ScoreShardConfig,
    ScoringConfig,
)
from qsm_core.evaluation.scoring.instructions import read_asked, read_known, without_known
from qsm_core.stage.workload import PlannedInput, Work

Inputs = Mapping[str, PlannedInput]
_UNIT = "predictions"


def evaluation_work(config: EvaluateConfig | ScoreShardConfig, inputs: Inputs) -> Work:
    """Count the predictions of an evaluation."""
    amount = count_renderings(inputs.get("corpus"), config.split, config.conditions)
    return Work(amount, _UNIT)


def further_work(config: FurtherConfig | ScoreShardConfig, inputs: Inputs) -> Work:
    """Return an upper bound of the predictions: equal instructions are scored only once."""
    each = count_renderings(inputs.get("corpus"), config.split, config.conditions)
    return Work(None if each is None else each * len(config.asked), _UNIT, at_most=True)


def shard_work(config: ScoreShardConfig, inputs: Inputs) -> Work:
    """Count the predictions of one shard; blocks are dealt out in turn."""
    whole = (further_work if config.asked else evaluation_work)(config, inputs)
    clips = count_planned_clips(inputs.get("corpus"), config.split, config.conditions)
    if whole.amount is None or not clips:
        return whole
    blocks = count_blocks(clips, config.block_clips)
    mine = len(range(blocks)[config.shard :: config.shards])
    return replace(whole, amount=round(whole.amount * mine / blocks))


def split_evaluation(
    config: EvaluateConfig, inputs: Mapping[str, Path], _parts: Sequence[Path], wanted: int
) -> Sequence[ScoreShardConfig]:
    """Return the configurations of the shards of an evaluation, no more than it has blocks."""
    return _split(config, inputs, wanted)


def split_further(
    config: FurtherConfig, inputs: Mapping[str, Path], _parts: Sequence[Path], wanted: int
) -> Sequence[ScoreShardConfig]:
    """Return the configurations of the shards of an evaluation with further instructions."""
    return _split(config, inputs, wanted, asked=config.asked, known=config.known)


def nothing_to_score(
    config: FurtherConfig, inputs: Mapping[str, Path], _parts: Sequence[Path]
) -> bool:
    """Return whether all of these instructions have an evaluation already."""
    texts = read_asked(config.asked, inputs)
    return not without_known(texts, read_known(config.known, inputs, config.instruction))


def count_blocks(clips: int, block_clips: int) -> int:
    """Count the blocks that clips are scored in."""
    return math.ceil(clips / block_clips)


def _split(
    config: ScoringConfig, inputs: Mapping[str, Path], wanted: int, **more: Any
) -> Sequence[ScoreShardConfig]:
    clips = count_clips(inputs["corpus"], config.split, config.conditions)
    shards = min(wanted, count_blocks(clips, config.block_clips))
    if shards <= 1:
        return ()
    common = {field.name: getattr(config, field.name) for field in fields(ScoringConfig)}
    return [
        ScoreShardConfig(**common, **more, shard=number, shards=shards) for number in range(shards)
    ]
