"""How much a stage has to do, and how much an earlier run of it did.

A prediction is one clip in one condition with one instruction. What depends on the clips is unknown
until the corpus is made, but for the synthetic one, whose size is a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from qsm_core.conditions.config import AS_RECORDED, STANDARD
from qsm_core.evaluation.scoring.workload import count_blocks, count_conditions
from qsm_core.prompting.search.price import Price, prices_of
from qsm_core.store.manifest import Manifest
from tasks.definitions import (
    EVALUATE,
    EVALUATE_BASELINE,
    EVALUATE_FURTHER,
    OPTIMIZE_PROMPT,
    SCORE_FURTHER_SHARD,
    SCORE_SHARD,
    SHARD_OF,
    TRAIN_LORA,
)

# Counts the clips of a named input and split that are heard in these conditions; None: unknown.
CountClips = Callable[[str, str | None, Sequence[str] | str], int | None]
Unit = Literal["predictions", "training steps", ""]

_EFFECTIVE_BATCH = 16
_SHARDS = frozenset(shard.name for shard in SHARD_OF.values())


@dataclass(frozen=True)
class Work:
    """How much there is to do.

    Args:
        amount: None where it is unknown until the corpus is made.
        unit: Of what; empty for a stage whose work is not counted.
        at_most: Whether it may end up less.
        note: What else is to be said.
        prices: Of a search and its controls.
    """

    amount: int | None
    unit: Unit = ""
    at_most: bool = False
    note: str = ""
    prices: tuple[Price, ...] = ()

    @property
    def told(self) -> str:
        """The work in words."""
        if self.note or not self.unit:
            return self.note
        if self.amount is None:
            return "unknown until the corpus is made"
        return f"{'at most ' if self.at_most else ''}{self.amount:,} {self.unit}"


def work_of(stage: str, config: Mapping[str, Any], clips: CountClips) -> Work:
    """Count what a stage has to do.

    Args:
        stage: Name of its definition.
        config: Its configuration.
        clips: Counts the clips of one of its inputs.
    """
    counted = _COUNTED.get(stage)
    return Work(1) if counted is None else counted(config, clips)


def work_done(manifest: Manifest) -> int:
    """Return how much an earlier run did, in the units of `work_of`; 0 where it did nothing."""
    told = manifest.summary
    stage = manifest.spec.stage
    if stage in SHARD_OF or stage in _SHARDS:
        return int(told.get("n_asked", told.get("n_samples", 0)))
    if stage == EVALUATE_BASELINE.name:
        return int(told.get("n_samples", 0))
    if stage == TRAIN_LORA.name:
        return int(told.get("steps", 0))
    if stage == OPTIMIZE_PROMPT.name:
        return int(told.get("clip_prompts", 0))
    return 1


def _evaluation(config: Mapping[str, Any], clips: CountClips) -> Work:
    heard = clips("corpus", config.get("split", "test"), config["conditions"])
    if heard is None:
        return Work(None, "predictions")
    return Work(heard * count_conditions(config["conditions"]), "predictions")


def _further(config: Mapping[str, Any], clips: CountClips) -> Work:
    one = _evaluation(config, clips)
    if one.amount is None:
        return one
    # Those that turn out to be the same text are asked once, or not at all.
    return Work(one.amount * len(config["asked"]), "predictions", at_most=True)


def _shard(config: Mapping[str, Any], clips: CountClips) -> Work:
    whole = _further(config, clips) if "asked" in config else _evaluation(config, clips)
    heard = clips("corpus", config.get("split", "test"), config["conditions"])
    if whole.amount is None or not heard:
        return whole
    blocks = count_blocks(heard)
    mine = len(range(blocks)[config["shard"] :: config["shards"]])
    return replace(whole, amount=round(whole.amount * mine / blocks))


def _training(config: Mapping[str, Any], clips: CountClips) -> Work:
    conditions = config.get("conditions", AS_RECORDED)
    heard = clips("train", "train", conditions)
    if heard is None:
        return Work(None, "training steps")
    renderings = count_conditions(conditions)
    if config.get("renderings_per_clip") is not None:
        renderings = min(renderings, int(config["renderings_per_clip"]))
    batch = int(config.get("effective_batch_size", _EFFECTIVE_BATCH))
    steps = math.ceil(heard * renderings / batch) * int(config["epochs"])
    return Work(steps, "training steps", at_most=True)


def _search(config: Mapping[str, Any], clips: CountClips) -> Work:
    conditions = config.get("conditions", STANDARD)
    heard = clips("corpus", "dev", conditions)
    if heard is None:
        return Work(None, "predictions", prices=prices_of(config, None))
    prices = prices_of(config, heard * count_conditions(conditions))
    whole = sum(one.clip_prompts or 0 for one in prices)
    return Work(whole, "predictions", at_most=True, prices=prices)


_COUNTED = {
    EVALUATE.name: _evaluation,
    EVALUATE_BASELINE.name: _evaluation,
    EVALUATE_FURTHER.name: _further,
    SCORE_SHARD.name: _shard,
    SCORE_FURTHER_SHARD.name: _shard,
    TRAIN_LORA.name: _training,
    OPTIMIZE_PROMPT.name: _search,
}
