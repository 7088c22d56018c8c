"""How the entry of a stage is called: in this process, or as the caller of `make_output` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.stage.code_check import check_loaded, load_entry
from qsm_core.stage.context import StageContext
from qsm_core.stage.usage import Usage
from qsm_core.store.manifest import summary_json
from qsm_core.store.spec import StageSpec


@dataclass(frozen=True)
class Launched:
    """The result of a stage that has run.

    Args:
        summary: What it returned, as JSON values.
        usage: CPU time and memory that it used.
    """

    summary: dict[str, Any]
    usage: dict[str, Any]


# Takes the spec, the context, and a folder where a child process may keep its files.
Launch = Callable[[StageSpec, StageContext, Path], Launched]


def run_in_process(spec: StageSpec, context: StageContext, _folder: Path) -> Launched:
    """Import the entry of a stage and call it.

    Raises:
        StageError: The code of this process is not the code that the key stands for.
    """
    usage = Usage()
    summary = load_entry(spec)(context)
    check_loaded(spec)
    return Launched(summary_json(spec.stage, summary), usage.reading())
