"""Files and folders of the user, checked by field before anything is digested or queued."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from flows.run.settings import RunSettings
from flows.speech.optimizer import local_optimizer
from flows.speech.parameters import PipelineParameters
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.scoring.instructions import read_instruction
from qsm_core.models.identity import TEXT_LLM
from qsm_core.models.named_files import adapter_problems, model_problems

_PATHS = (
    "data",
    "test_data",
    "audio_root",
    "recorded_rirs",
    "adapter",
    "instruction_base",
    "instruction_lora",
    "opro_pool",
)


def check_inputs(parameters: PipelineParameters) -> None:
    """Refuse files, models and adapters that cannot be used, and a pattern that finds no group.

    Raises:
        ConfigurationError: Names every such field, its value and what is needed.
        TransientError: The Hub did not answer.
    """
    p = parameters
    problems = missing_paths(p, _PATHS)
    problems += _unreadable_instructions(p)
    problems += _pattern_problems(p.group_pattern)
    problems += model_problems("model", str(p.model), p.model_revision)
    problems += adapter_problems(p.adapter, str(p.model), p.model_revision)
    optimizer = local_optimizer(p)
    if optimizer is not None:
        problems += model_problems("optimizer_model", optimizer, p.optimizer_revision, TEXT_LLM)
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)


def missing_paths(parameters: RunSettings, fields: Sequence[str]) -> list[str]:
    """List the fields that name a file or folder which is not there."""
    return [
        f"{field} = {path!r}: there is no such file or folder on this machine"
        for field in fields
        if (path := getattr(parameters, field)) is not None and not Path(path).expanduser().exists()
    ]


def _unreadable_instructions(parameters: PipelineParameters) -> list[str]:
    """List the instruction files that are there and hold no instruction."""
    problems = []
    for field in ("instruction_base", "instruction_lora"):
        value = getattr(parameters, field)
        path = None if value is None else Path(value).expanduser()
        if path is None or not path.exists():
            continue
        try:
            read_instruction(path)
        except DataError as error:
            problems += [f"{field} = {value!r}: {problem}" for problem in error.problems]
    return problems


def _pattern_problems(pattern: str | None) -> list[str]:
    if pattern is None:
        return []
    needed = "needed is a regular expression with one group, such as (spk[0-9]+)"
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return [f"group_pattern = {pattern!r}: {error}; {needed}"]
    return [] if groups == 1 else [f"group_pattern = {pattern!r}: has {groups} groups; {needed}"]
