"""The configuration of everything that asks a system about clips in conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from qsm_core.conditions.rendering import RenderSettings
from qsm_core.data.schema import Split
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.scoring.instructions import read_instruction
from qsm_core.evaluation.scoring.renderings import STANDARD
from qsm_core.evaluation.scoring.workload import BLOCK_CLIPS
from qsm_core.inference.prompt import DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.scoring import DEFAULT_MAX_NEW_TOKENS


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """What changes the answers.

    Args:
        system: Name of the system in tables and figures.
        instruction: What the model is asked; leave it out where the input `instruction` says it.
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
    instruction: str | None = None
    split: Split | None = "test"
    conditions: tuple[str, ...] | str = STANDARD
    answer_format: Literal["auto", "labels", "ab", "mc", "open"] = "auto"
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_new_tokens: Annotated[int, Field(ge=1)] = DEFAULT_MAX_NEW_TOKENS
    short_clips: Literal["refuse", "pad"] = "refuse"
    block_clips: Annotated[int, Field(ge=1)] = BLOCK_CLIPS
    render: RenderSettings = field(default_factory=RenderSettings)


def own_instruction(config: ScoringConfig, inputs: Mapping[str, Path]) -> str:
    """Take the instruction from the configuration or from the input `instruction`, not both.

    Raises:
        ConfigurationError: Neither or both of them say it.
        DataError: The input has no instruction.
    """
    folder = inputs.get("instruction")
    if (config.instruction is None) == (folder is None):
        problem = "give either `instruction` in the configuration or the input `instruction`"
        raise ConfigurationError("the instruction is not clear", [problem])
    return str(config.instruction) if folder is None else read_instruction(folder)
