"""Configuration of a search for an instruction: its course, its proposers and its controls.

Forms and plans read it too, so nothing heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

from pydantic import Field

from qsm_core.conditions.config import STANDARD, Conditions, RenderSettings
from qsm_core.inference.config import (
    DEFAULT_SYSTEM_PROMPT,
    AnswerFormatName,
    DtypeName,
    Instruction,
    Quantization,
    ShortClips,
)
from qsm_core.seeding import Seed

Objective = Literal["reward", "balanced_accuracy", "log_loss", "auroc"]
ProposerName = Literal["templates", "recombination", "paraphrase", "pool", "llm"]
ControlName = Literal["templates", "paraphrases"]

PROPOSER_NAMES: tuple[ProposerName, ...] = get_args(ProposerName)
CONTROLS: tuple[ControlName, ...] = get_args(ControlName)
# Proposers that use an optimizer LLM, if there is one.
USE_LLM: frozenset[ProposerName] = frozenset({"llm", "paraphrase"})
# Holds the key of the server that runs the optimizer LLM.
API_KEY_VARIABLE = "QSM_OPTIMIZER_API_KEY"

TOLERANCE = 0.0015
BLOCK_CLIPS = 30
FINALISTS = 1
PROPOSAL_TRIES = 3  # calls of a proposer to fill a step with new texts


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """The course of a search.

    Args:
        seed: Root of all randomness of the proposers and of the order of the dev clips.
        instruction: The instruction to start from; the winner is never worse than it on dev.
        iterations: How many times new candidates are proposed.
        candidates: New candidates in one iteration.
        objective: What is maximised.
        patience: End after this many iterations without a better candidate; 0: never.
        finalists: The most candidates that are scored on all of dev, with the first instruction, if
            the race ends undecided.
        budget: Clip-prompts that the search may score, finals included; null: no limit.
        tolerance: A candidate is dropped when its expected gain over the leader on all of dev is
            at most this, in units of the objective.
        length_penalty: Reduction of the score per 100 characters.
    """

    seed: Seed
    instruction: Instruction
    iterations: Annotated[int, Field(ge=1, le=1000)] = 15
    candidates: Annotated[int, Field(ge=1, le=64)] = 8
    objective: Objective = "reward"
    patience: Annotated[int, Field(ge=0, le=1000)] = 5
    finalists: Annotated[int, Field(ge=1, le=50)] = FINALISTS
    budget: Annotated[int, Field(ge=1)] | None = None
    tolerance: Annotated[float, Field(gt=0, lt=1)] = TOLERANCE
    length_penalty: Annotated[float, Field(ge=0, le=1)] = 0.0

    @property
    def most_candidates(self) -> int:
        """The most candidates that a search scores, the first instruction included."""
        return 1 + self.iterations * self.candidates


@dataclass(frozen=True)
class OptimizerSettings:
    """The LLM that writes instructions; part of the key of a search, unlike its address.

    Args:
        served: Whether a server runs it; otherwise the input `optimizer` is its folder.
        model: Its name on the server.
        temperature: Sampling temperature.
        quantization: "none" or "nf4", of a model that is not served.
    """

    served: bool
    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    quantization: Quantization = "none"


@dataclass(frozen=True, kw_only=True)
class OptimizePrompt(SearchSettings):
    """What changes the winner of a search.

    Args:
        clips: The most clip-conditions of a race; null: all of dev.
        block_clips: Approximate number of clip-conditions in a block of the race.
        controls: What else is raced at the same price, for comparison with the search.
        proposers: The proposers, in turn.
        optimizer: The LLM of the proposers `llm` and `paraphrase`; null: there is none.
        conditions: Condition keys, "standard", or "as_recorded".
        answer_format: With "auto", each candidate has the format that it asks for.
        system_prompt: The system turn of every prompt.
        quantization: "none" or "nf4".
        dtype: "auto", "float32", "bfloat16" or "float16".
        short_clips: What to do with a clip too short for one audio token.
        render: What all renderings share.
    """

    clips: Annotated[int, Field(ge=4)] | None = None
    block_clips: Annotated[int, Field(ge=2, le=10_000)] = BLOCK_CLIPS
    controls: tuple[ControlName, ...] = CONTROLS
    proposers: Annotated[tuple[ProposerName, ...], Field(min_length=1)] = (
        "templates",
        "recombination",
    )
    optimizer: OptimizerSettings | None = None
    conditions: Conditions = STANDARD
    answer_format: AnswerFormatName = "auto"
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    quantization: Quantization = "none"
    dtype: DtypeName = "auto"
    short_clips: ShortClips = "refuse"
    render: RenderSettings = field(default_factory=RenderSettings)
