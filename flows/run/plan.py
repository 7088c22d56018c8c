"""Shows the plan of a run: on the terminal, and in Prefect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from flows.run.console import console_table
from flows.run.server import PrefectPage
from flows.terminal.display import current_display
from qsm_core.stage.workload import Row
from tasks.plan.planned import Plan
from tasks.plan.tables import (
    detail_tables,
    job_rows,
    job_scripts,
    plan_diagram,
    plan_rows,
    total_estimate,
)

_STATES = {"reused": "reused", "runs": "to run", "waits": "decided when their inputs are made"}


def show_plan(plan: Plan, page: PrefectPage, *, with_jobs: bool = False) -> None:
    """Show what happens to each stage, and why.

    Args:
        plan: The plan.
        page: Shows it in Prefect.
        with_jobs: Whether the terminal also shows the workers, the scripts of their jobs and the
            further tables of the plan.
    """
    _print_plan(plan, with_jobs=with_jobs)
    stages = plan.stages
    rows = plan_rows(stages)
    counts = Counter(row["plan"] for row in rows)
    states = (f"{counts[state]} {words}" for state, words in _STATES.items() if counts[state])
    summary = f"{len(rows)} stages: {', '.join(states)}; {total_estimate(stages)}"
    page.table("plan", rows, summary)
    notes = "".join(f"- {note}\n" for note in plan.notes)
    diagram = f"## Plan\n\n{summary}.\n\n{notes}\n```mermaid\n{plan_diagram(stages)}\n```\n"
    page.markdown("plan-diagram", diagram, summary)
    for title, further in (detail_tables(stages) | dict(plan.tables)).items():
        page.table(f"plan-{title}", further, title)
    if jobs := job_rows(stages):
        text = "Where the stages run that are not reused, and how long that may take"
        page.table("plan-jobs", jobs, text)
    if scripts := job_scripts(stages):
        text = "The scripts of the jobs as they would be submitted"
        parts = [f"## Job of {name}\n\n```bash\n{one}\n```\n" for name, one in scripts.items()]
        page.markdown("plan-scripts", "\n".join(parts), text)


def _print_plan(plan: Plan, *, with_jobs: bool) -> None:
    display = current_display()
    if display is None:
        return
    stages = plan.stages
    more = ("work", "estimate") if with_jobs else ()
    display.print(console_table("Plan", plan_rows(stages), ("stage", "plan", *more, "why")))
    for note in plan.notes:
        display.print(Text(f"\nnote: {note}"))
    display.print(f"\nTime: {total_estimate(stages)}\n")
    tables: dict[str, Sequence[Row]] = {**detail_tables(stages)}
    if with_jobs:
        tables |= {**plan.tables, "Workers": job_rows(stages)}
    for title, rows in tables.items():
        if rows:
            display.print(console_table(title, rows))
            display.print("")
    for name, script in job_scripts(stages).items() if with_jobs else ():
        display.print(f"\nThe job of {name}:\n")
        display.print(Text(script))
