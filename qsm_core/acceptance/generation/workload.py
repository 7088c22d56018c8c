"""How much work an arm has, and how it is shared out; no model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qsm_core.acceptance.generation.config import GenerateAnswers
from qsm_core.acceptance.generation.history import cases_of, has_open, known_attempts
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.stage.workload import PlannedInput, Work

_UNIT = "cases"


def answering_work(config: GenerateAnswers, inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the cases that are answered; those that other outputs have are not."""
    paths = {name: one.path for name, one in inputs.items() if one.path is not None}
    if "cases" not in paths:
        return Work(None, _UNIT)
    task = load_task(config.task or paths["task"])
    return Work(len(cases_of(config, paths["cases"], task)), _UNIT, at_most=True)


def nothing_to_answer(
    config: GenerateAnswers, inputs: Mapping[str, Path], parts: Sequence[Path]
) -> bool:
    """Say whether other outputs have all the answers."""
    return bool(parts) and _count_open(config, inputs, parts) == 0


def split_answers(
    config: GenerateAnswers, inputs: Mapping[str, Path], parts: Sequence[Path], wanted: int
) -> Sequence[GenerateAnswers]:
    """Return the share of each shard; one worker does it all where there is one case to do."""
    shards = min(wanted, _count_open(config, inputs, parts))
    if shards <= 1:
        return ()
    return [replace(config, shard=number, shards=shards) for number in range(shards)]


def _count_open(config: GenerateAnswers, inputs: Mapping[str, Path], parts: Sequence[Path]) -> int:
    task = load_task(config.task or inputs["task"])
    cases = cases_of(config, inputs["cases"], task)
    history = known_attempts(task, cases, config, parts)
    return sum(has_open(made, config) for made in history.values())
