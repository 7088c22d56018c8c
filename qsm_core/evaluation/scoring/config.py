"""Configuration of the stages that score clips: all that changes the answers of a system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from qsm_core.conditions.config import STANDARD, Conditions, RenderSettings
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.inference.config import (
    DEFAULT_MAX_NEW_TOKENS,
    DEFAULT_SYSTEM_PROMPT,
    AnswerFormatName,
    DtypeName,
    Instruction,
    Quantization,
    ShortClips,
)
from qsm_core.labels import Split


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """What changes the answers.

    Args:
        system: Name of the system in tables and figures.
        instruction: The text given to the model; left out if it is the input `instruction`.
        split: Which clips; null for all.
        conditions: Condition keys (and "clean"), "standard", or "as_recorded".
        answer_format: "auto", "labels", "ab", "mc" or "open".
        system_prompt: The system turn of every prompt.
        quantization: "none" or "nf4".
        dtype: "auto", "float32", "bfloat16" or "float16".
        max_new_tokens: Longest open answer.
        short_clips: What to do with a clip too short for one audio token.
        block_clips: Clips in a block; all conditions of a clip are in the same one.
        render: What all renderings share.
    """

    system: Annotated[str, Field(min_length=1)]
    instruction: Instruction | None = None
    split: Split | None = "test"
    conditions: Conditions = STANDARD
    answer_format: AnswerFormatName = "auto"
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    quantization: Quantization = "none"
    dtype: DtypeName = "auto"
    max_new_tokens: Annotated[int, Field(ge=1)] = DEFAULT_MAX_NEW_TOKENS
    short_clips: ShortClips = "refuse"
    block_clips: Annotated[int, Field(ge=1)] = 16
    render: RenderSettings = field(default_factory=RenderSettings)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(ScoringConfig):
    """What changes the predictions and the metrics of an evaluation.

    Args:
        bootstrap: How the intervals in metrics.json are computed.
    """

    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)


@dataclass(frozen=True, kw_only=True)
class FurtherConfig(ScoringConfig):
    """What changes the answers to further instructions.

    `instruction` is that of another evaluation.

    Args:
        asked: Names of the instructions to score; input `ask_<name>` is the file of each.
        known: Names of other instructions with an evaluation; input `known_<name>` is the
            file of each.
    """

    asked: Annotated[tuple[str, ...], Field(min_length=1)]
    known: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScoreShardConfig(ScoringConfig):
    """What changes the predictions of a shard.

    Args:
        shard: Which one, from 0.
        shards: How many there are.
        asked: Names of further instructions; none: the evaluation is of one instruction.
        known: Names of other instructions with an evaluation.
    """

    shard: Annotated[int, Field(ge=0)]
    shards: Annotated[int, Field(ge=1)]
    asked: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
