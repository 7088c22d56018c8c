"""What a run tells at its start and its end: the plan, the results table, where the report is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run
from rich import box
from rich.table import Table
from rich.text import Text

from flows.run.links import link_results
from flows.speech.memory import RunMemory
from flows.speech.parameters import PipelineParameters
from flows.terminal.display import current_display
from qsm_core.reporting.page.pieces import CALIBRATED_TITLE, PAGE, read_pieces
from qsm_core.store.store import StageOutput
from tasks.plan.costs import JSON_FILE, RunCost, cost_sentence, write_cost
from tasks.plan.tables import job_rows, job_scripts, plan_rows, search_rows, total_estimate
from tasks.run.artifacts import (
    publish_cost,
    publish_memory,
    publish_plan,
    publish_provenance,
    publish_report,
    publish_search_pages,
)
from tasks.run.handle import PlannedStage

# Columns of the results that the terminal shows, with the titles that they have there.
_RESULT_COLUMNS = {
    "System": "System",
    "Balanced accuracy, clips": "Clips",
    "Balanced accuracy, conditions": "Conditions",
    "AUROC": "AUROC",
    "Clips: difference": "Clips, difference",
}

_METHODS = Path(__file__).parents[2] / "docs" / "methods.md"

_STAGES_OF_SYSTEMS = (
    "Five configurations, four evaluations: Base is stage 1 and stage 3a, LoRA is 3b, "
    "Base + OPRO is 6, LoRA + OPRO is 7."
)


def announce_plan(plan: Sequence[PlannedStage], *, with_jobs: bool = False) -> None:
    """Show the plan in the UI and, where there is one, on the terminal.

    Args:
        plan: What happens to each stage.
        with_jobs: Whether the terminal also shows the workers and the scripts of their jobs.
    """
    if flow_run.id is not None:
        publish_plan(plan)
    display = current_display()
    if display is not None:
        more = ("work", "estimate") if with_jobs else ()
        columns = ("stage", "plan", *more, "why")
        display.print(_table("Plan", plan_rows(plan), columns))
        display.print(f"\nTime: {total_estimate(plan)}\n")
        searches = search_rows(plan)
        if searches:
            display.print(_table("Prompt search, at most", searches, tuple(searches[0])))
            display.print("")
        if with_jobs:
            display.print(_table("Workers", job_rows(plan), ("workers", "stages", "estimate")))
            display.print("")
            for name, script in job_scripts(plan).items():
                display.print(f"\nThe job of {name}:\n")
                display.print(Text(script))


def announce_memory(memory: RunMemory | None, *, on_terminal: bool) -> None:
    """Show how much memory the models of a run will take."""
    if memory is None:
        return
    rows = memory.rows()
    if flow_run.id is not None:
        publish_memory(rows)
    display = current_display()
    if display is not None and on_terminal:
        display.print(_table("Memory of the model's device", rows, tuple(rows[0])))
        display.print("")


def report_cost(folder: Path, cost: RunCost) -> None:
    """Show what a run cost, and write it beside its results."""
    publish_cost(cost)
    write_cost(folder, cost)
    display = current_display()
    if display is not None:
        where = _short(folder.resolve() / JSON_FILE)
        display.print(f"\nCost: {cost_sentence(cost)}. Details: {where}\n")


def publish_results(
    parameters: PipelineParameters,
    outputs: dict[str, StageOutput],
    note: str = _STAGES_OF_SYSTEMS,
) -> dict[str, str]:
    """Link the results under their names, show them in the UI and on the terminal.

    Args:
        parameters: Of the run.
        outputs: Of its stages.
        note: What a reader of the results should know of this run.

    Returns:
        Where the report and the results are.
    """
    folder = link_results(
        Path(parameters.results).expanduser() / str(parameters.name), result_links(outputs)
    )
    report = outputs["report"].path
    publish_search_pages(outputs)
    publish_report(report, folder, note)
    publish_provenance(outputs)
    display = current_display()
    if display is not None:
        pieces = read_pieces(report)
        display.conclude(_results_table(pieces.results))
        for told in pieces.gains:
            display.conclude(Text(f"\n{told}"))
        display.conclude(f"\nresults: {_short(folder)}\nreport: {_short(folder / 'report.html')}")
    return {"results": str(folder), "report": str(folder / "report.html")}


def result_links(outputs: dict[str, StageOutput]) -> dict[str, Path]:
    """Return what the folder of results shows, under the names that the first system used."""
    links: dict[str, Path] = {}
    for name, output in outputs.items():
        if re.search(r"_shard\d+of\d+$", name):  # a part of an evaluation that is linked itself
            continue
        trained = re.fullmatch(r"lora(_seed\d+)?", name)
        if trained:
            links[f"checkpoints/{name}/final"] = output.path
        elif name == "baseline":
            links["eval_baseline"] = output.path
            links["eval_base"] = output.path  # stage 3a is the evaluation of stage 1
        else:
            links[name] = output.path
    return links if "report" not in outputs else links | report_links(outputs["report"].path)


def publish_comparison(folder: Path, outputs: dict[str, StageOutput]) -> dict[str, str]:
    """Link and show the report of `compare_models`.

    Returns:
        Where the report and its tables are.
    """
    report = outputs["report"].path
    links = {name: output.path for name, output in outputs.items()}
    folder = link_results(folder, {**links, **report_links(report)})
    publish_report(report, folder, "Systems from finished runs and from elsewhere.")
    publish_provenance(outputs)
    display = current_display()
    if display is not None:
        display.conclude(_results_table(read_pieces(report).results))
        display.conclude(f"\nreport: {_short(folder / 'report.html')}")
    return {"results": str(folder), "report": str(folder / "report.html")}


def report_links(report: Path) -> dict[str, Path]:
    """Return the page of a report and, where it is at hand, the methods that it refers to."""
    links = {"report.html": report / PAGE}
    if _METHODS.is_file():
        links["methods.md"] = _METHODS
    return links


def _results_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the results as a table that fits into 80 columns."""
    table = _plain_table("Balanced accuracy on test in per cent, with 95 % intervals")
    for title in _RESULT_COLUMNS.values():
        table.add_column(title, justify="left" if title == "System" else "right")
    for row in rows:
        if row["System"].endswith(CALIBRATED_TITLE):
            continue  # in the report
        cells = {name: str(row[name]) for name in _RESULT_COLUMNS}
        cells["AUROC"] = cells["AUROC"].split(" [")[0]
        table.add_row(*cells.values())
    return table


def _plain_table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _short(path: Path) -> Path:
    """Return a path as seen from the working directory, if it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def results_as_table(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Table:
    """Return rows of results as a table of the terminal, numbers with three digits."""
    shown = [{name: _short_number(row[name]) for name in columns} for row in rows]
    return _table(title, shown, columns)


def _short_number(value: object) -> object:
    return f"{value:.3g}" if isinstance(value, float) else value


def _table(title: str, rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Table:
    """Return rows as a table of the terminal; long cells are folded, the first one never."""
    table = _plain_table(title)
    for position, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    return table
