"""Cancel SLURM jobs whose flow is gone: what a SIGKILL or the crash of a host has left behind.

    python -m flows.reap_orphans --dry-run      # only tell
    python -m flows.reap_orphans

Run it on a host that has SLURM's commands and sees the scratch folder of the cluster profile.
Only jobs of your own are looked at, and of those only the ones named `qsm-<8 hex digits>-<class>`
whose run says, in its private folder, that its flow has ended.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer
from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings
from pydantic import Field
from rich import box
from rich.console import Console
from rich.table import Table

from qsm_core.errors import QsmError
from tasks.workers.job import Job
from tasks.workers.slurm.commands import check_commands
from tasks.workers.slurm.orphans import JobVerdict, cancel_orphans, find_orphans

_SILENT_MINUTES = 10

# Titles of the form, as extras: Prefect writes the name of the argument over any other title.
DryRun = Annotated[bool, Field(json_schema_extra={"title": "Dry run"})]
SilentMinutes = Annotated[
    int, Field(ge=1, le=24 * 60, json_schema_extra={"title": "Silent minutes"})
]


@flow(name="reap-orphans", persist_result=False)
def reap_orphans(
    dry_run: DryRun = False,
    silent_minutes: SilentMinutes = _SILENT_MINUTES,
) -> list[dict[str, str]]:
    """Cancel SLURM jobs of qsm whose flow is gone.

    What a run that was killed at once has left in the queue. Jobs of other users, and jobs with
    other names, are never touched.

    Args:
        dry_run: Only tell, and cancel nothing.
        silent_minutes: For how long a flow on another host must have given no sign of life.
    """
    rows = reap(dry_run=dry_run, silent_minutes=silent_minutes)
    for row in rows:
        get_run_logger().info("%(job)s %(name)s: %(done)s, because %(why)s", row)
    cancelled = sum(row["done"].startswith("cancelled") for row in rows)
    text = f"{len(rows)} jobs of qsm, {cancelled} cancelled"
    empty = [{"job": "none", "name": "", "state": "", "done": "", "why": "", "flow run": ""}]
    create_table_artifact(rows or empty, key="orphans", description=text)
    return rows


def reap(*, dry_run: bool, silent_minutes: int) -> list[dict[str, str]]:
    """Find the orphans, cancel them unless this is a dry run, and return a table of all jobs."""
    check_commands()
    verdicts = find_orphans(run_has_ended, silent_s=60.0 * silent_minutes)
    left = [] if dry_run else cancel_orphans(verdicts)
    return [_row(one, left, dry_run=dry_run) for one in verdicts]


def run_has_ended(flow_run_id: str) -> bool | None:
    """Ask Prefect whether a flow run has ended; None where nobody can say."""
    if get_current_settings().api.url is None:
        return None
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(flow_run_id)).state
        except (ObjectNotFound, ValueError):
            return None
    return None if state is None else state.is_final()


def _row(verdict: JobVerdict, left: list[Job], *, dry_run: bool) -> dict[str, str]:
    done = "kept"
    if verdict.orphan:
        done = "would be cancelled" if dry_run else "cancelled"
    if verdict.job in left:
        done = "cancelled, and still ending"
    return {
        "job": verdict.job.job_id,
        "name": verdict.job.name,
        "state": verdict.job.state,
        "done": done,
        "why": verdict.why,
        "flow run": verdict.flow_run_id,
    }


def main(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    silent_minutes: Annotated[
        int,
        typer.Option(min=1, help="For how long a flow on another host must have been silent."),
    ] = _SILENT_MINUTES,
) -> None:
    """Cancel SLURM jobs of qsm whose flow is gone."""
    try:
        rows = reap(dry_run=dry_run, silent_minutes=silent_minutes)
    except QsmError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(2) from error
    if not rows:
        typer.echo("there are no jobs of qsm")
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    Console(markup=False, emoji=False).print(table, highlight=False)


if __name__ == "__main__":
    typer.run(main)
