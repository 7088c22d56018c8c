"""Shows what a run cost, and writes it beside its results."""

from __future__ import annotations

from pathlib import Path

from flows.run.console import relative
from flows.run.server import PrefectPage
from flows.terminal.display import current_display
from tasks.plan.costs import (
    JSON_FILE,
    RunCost,
    cost_job_rows,
    cost_sentence,
    cost_stage_rows,
    write_cost,
)


def show_cost(folder: Path, cost: RunCost, page: PrefectPage) -> None:
    """Write the cost into the folder of results, and show it on the terminal and in Prefect."""
    sentence = cost_sentence(cost)
    write_cost(folder, cost)
    display = current_display()
    if display is not None:
        where = relative(folder.resolve() / JSON_FILE)
        display.print(f"\nCost: {sentence}. Details: {where}\n")
    page.table("cost", cost_stage_rows(cost), sentence)
    if cost.jobs:
        page.table("cost-jobs", cost_job_rows(cost), sentence)
