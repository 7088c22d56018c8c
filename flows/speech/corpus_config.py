"""Configurations of the stages that make the corpus of a run."""

from __future__ import annotations

from typing import Any

from flows.speech.listed_values import baseline_names
from flows.speech.parameters import PipelineParameters
from qsm_core.evaluation.systems import System


def synthetic_corpus(parameters: PipelineParameters) -> dict[str, Any]:
    """Return what the synthetic corpus is made from."""
    return {
        "seed": parameters.seed,
        "train_clips": parameters.train_clips,
        "dev_clips": parameters.dev_clips,
        "test_clips": parameters.test_clips,
        "clip_ms": parameters.clip_ms,
    }


def prepared_corpus(parameters: PipelineParameters) -> dict[str, Any]:
    """Return how the user's clips are cut, grouped and split."""
    return {
        "kind": parameters.data_kind,
        "seed": parameters.seed,
        "clip_ms": parameters.clip_ms,
        "short_clips": parameters.short_clips,
        "dev_fraction": parameters.dev_fraction,
        "test_fraction": parameters.test_fraction,
        "group_pattern": parameters.group_pattern,
        "own_splits": parameters.own_splits,
    }


def is_searched(parameters: PipelineParameters, system: str) -> bool:
    """Say whether an instruction is searched for the model of a system, with its dev clips."""
    if System.read(system).adapter is None:
        return parameters.instruction_base is None
    return parameters.instruction_lora is None


def searches(parameters: PipelineParameters) -> bool:
    """Say whether an instruction is searched for any model."""
    return parameters.instruction_base is None or parameters.instruction_lora is None


def splits_read(parameters: PipelineParameters) -> list[str]:
    """Return the splits that some stage reads, so that a corpus without one is refused."""
    needed = {"test"}
    if parameters.adapter is None:
        needed |= {"train", "dev"}
    if searches(parameters) or baseline_names(parameters):
        needed |= {"dev"}
    return sorted(needed)
