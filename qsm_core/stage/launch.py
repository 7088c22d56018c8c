"""How the entry of a stage is called: here, or by whoever `Store.make` is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.stage.context import StageContext
from qsm_core.stage.loaded import check_loaded, load_entry
from qsm_core.stage.usage import Usage
from qsm_core.store.manifest import summary_json
from qsm_core.store.spec import StageSpec


@dataclass(frozen=True)
class Launched:
    """A stage that has run.

    Args:
        summary: What it returned, as JSON values.
        usage: What it took of the process in which it ran.
    """

    summary: dict[str, Any]
    usage: dict[str, Any]


# Takes the spec, the context, and a folder in which a process of its own may keep its files.
Launch = Callable[[StageSpec, StageContext, Path], Launched]


def run_in_process(spec: StageSpec, context: StageContext, _folder: Path) -> Launched:
    """Import the entry of a stage and call it.

    Raises:
        StageError: The code here is not the code that the key stands for.
    """
    usage = Usage()
    summary = load_entry(spec)(context)
    check_loaded(spec)
    return Launched(summary_json(spec.stage, summary), usage.reading())
