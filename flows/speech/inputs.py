"""What the user points at, checked and told by field before anything is hashed or queued."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from flows.speech.parameters import PipelineParameters
from qsm_core.errors import ConfigurationError

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
    """Refuse files and folders that are not there, and a pattern that finds no group.

    Raises:
        ConfigurationError: Names every such field, its value and what is needed.
    """
    problems = [
        f"{field} = {path!r}: there is no such file or folder on this machine"
        for field in _PATHS
        if (path := getattr(parameters, field)) is not None and not Path(path).expanduser().exists()
    ]
    problems += _pattern_problems(parameters.group_pattern)
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)


def check_results_folder(folder: Path) -> None:
    """Refuse a folder that the results cannot be written to, before they have been worked for.

    Raises:
        ConfigurationError: Says what is wrong with it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        problem = f"results = '{folder}': cannot be written ({error.strerror}); give another folder"
        raise ConfigurationError("the parameters cannot be used", [problem]) from error


def _pattern_problems(pattern: str | None) -> list[str]:
    if pattern is None:
        return []
    needed = "needed is a regular expression with one group, such as (spk[0-9]+)"
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        return [f"group_pattern = {pattern!r}: {error}; {needed}"]
    return [] if groups == 1 else [f"group_pattern = {pattern!r}: has {groups} groups; {needed}"]
