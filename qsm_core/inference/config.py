"""Configuration of inference: values shared by several stages, and the check of parity.

Nothing here loads a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

AnswerFormatName = Literal["auto", "labels", "ab", "mc", "open"]
Quantization = Literal["none", "nf4"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
ShortClips = Literal["refuse", "pad"]  # of clips too short for one audio token

SHORTEST_INSTRUCTION, LONGEST_INSTRUCTION = 10, 300  # characters
Instruction = Annotated[str, Field(min_length=SHORTEST_INSTRUCTION, max_length=LONGEST_INSTRUCTION)]

DEFAULT_SYSTEM_PROMPT = "You classify audio content."
DEFAULT_MAX_NEW_TOKENS = 32


@dataclass(frozen=True)
class ParityConfig:
    """Configuration of the stage `check_parity`.

    Args:
        instruction: One with a constrained answer.
        quantization: How the model is loaded: "none" or "nf4".
        dtype: "auto", "float32", "bfloat16" or "float16".
        num_clips: Clips to compare, half of each class if there are enough.
        other_quantization: Also load the model with the other quantization, and compare.
        machine: Where it runs. On another machine the check is made again.
    """

    instruction: Instruction
    quantization: Quantization = "none"
    dtype: DtypeName = "auto"
    num_clips: Annotated[int, Field(ge=2, le=500)] = 16
    other_quantization: bool = True
    machine: str = "not named"
