"""The stage "perturb": damage a model, a cell at a time, measure it, ask it, restore it.

    python -m qsm_core.perturbation.perturb --spec spec.json

Inputs: `model` and `reference` (folders), optionally `prompts` (a file of the user's) and `image`.
Output: texts.parquet, cells.parquet, and their times in `volatile/`.

Each row is on disk before the next batch begins: a kill loses one batch, and nothing is written
twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qsm_core.perturbation.cells import cells_of
from qsm_core.perturbation.config import PerturbModel
from qsm_core.perturbation.making import make_cells, open_prompts
from qsm_core.perturbation.plan import known_rows, prompt_digests, prompts_of
from qsm_core.perturbation.records.tables import Rows, read_journals, read_rows, write_rows
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry


def run(context: StageContext) -> dict[str, Any]:
    """Make the cells of a shard.

    Raises:
        ConfigurationError: A group is not there, or a prompt cannot be asked.
        ModelError: The model cannot be used or restored, or the device's memory is nearly full.
        InterruptedStageError: It should stop; what was written is kept.
    """
    config = parse_config(PerturbModel, context.config)
    prompts = prompts_of(config, context.inputs)
    digests = prompt_digests(prompts, context.inputs)
    cells = cells_of(config)
    parts = [read_rows(Path(one)) for one in context.runtime.get("parts", ())]
    rows = known_rows(config, cells, digests, [read_journals(context.work), *parts])
    taken = len(rows.texts)
    if any(open_prompts(cell, prompts, rows) is not None for cell in cells):
        make_cells(context, config, cells, prompts, digests, rows)
    ordered = Rows(
        {
            (cell.key, one.prompt_id): rows.texts[cell.key, one.prompt_id]
            for cell in cells
            for one in prompts
        },
        {cell.key: rows.cells[cell.key] for cell in cells},
    )
    write_rows(context.out, ordered)
    return {
        "cells": len(cells),
        "texts": len(ordered.texts),
        "written": len(rows.texts) - taken,
        "asked": len(cells) * max(1, len(prompts)),
    }


if __name__ == "__main__":
    run_entry(run)
