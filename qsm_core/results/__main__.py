"""Take the results of a run elsewhere: real files in place of links into the store.

    qsm results export detection-seed42 ~/laptop/detection
    qsm results export results/detection-seed42 /mnt/stick/detection --tracks

An export that was interrupted goes on when the same command is given again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from qsm_core.errors import QsmError
from qsm_core.plurals import counted
from qsm_core.results.export import SUMS, Copied, Export, plan_export, run_export, size_of
from qsm_core.results.run_folder import find_run
from qsm_core.typed_arguments import refuse_empty_arguments

_ERROR_EXIT = 2
_INTERRUPTED_EXIT = 130
_BIG_BYTES = 2**26

app = typer.Typer(
    help="Take the results of a run elsewhere: real files in place of links into the store.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def results() -> None:
    """Take the results of a run elsewhere: real files in place of links into the store."""


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="Name of the run, or its folder of results.")],
    folder: Annotated[
        Path,
        typer.Argument(help="Where they go: a new or empty folder, or an earlier export of them."),
    ],
    results: Annotated[Path, typer.Option(help="Folder of all results.")] = Path("results"),
    *,
    tracks: Annotated[
        bool, typer.Option("--tracks", help="Score tracks of detectors too; they are large.")
    ] = False,
) -> None:
    """Copy the results of a run into a folder that can be carried to another machine.

    Every link into the store becomes a real file. Files that are there already, with the same size
    and SHA-256, are not copied again. export.json lists what is there and what was left out;
    `sha256sum -c SHA256SUMS` checks it on any machine.
    """
    try:
        planned = plan_export(find_run(run, results), folder, tracks=tracks)
        copied = _with_progress(planned)
    except QsmError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(_ERROR_EXIT) from error
    except KeyboardInterrupt as interrupt:
        text = "stopped; what is copied stays, and the same command goes on from it"
        typer.secho(text, fg=typer.colors.YELLOW, err=True)
        raise typer.Exit(_INTERRUPTED_EXIT) from interrupt
    there = f"; {counted(copied.kept, 'file')} were there" if copied.kept else ""
    what = f"{counted(copied.files, 'file')}, {decimal(copied.bytes)}"
    typer.echo(f"copied {what}, to {planned.target}{there}")
    if planned.left_out:
        amount = (
            f"{counted(len(planned.left_out), 'score track')}, {decimal(size_of(planned.left_out))}"
        )
        typer.echo(f"left out: {amount}; --tracks brings them")
    for name in planned.links:
        typer.echo(f"left out: {name}, a link of yours")
    typer.echo(f"check it anywhere: cd {planned.target} && sha256sum -c {SUMS}")
    if "report.html" in planned.files:
        typer.echo(f"report: {planned.target / 'report.html'}")


def _with_progress(planned: Export) -> Copied:
    console = Console(stderr=True)
    total = planned.bytes
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    shown = console.is_terminal and total >= _BIG_BYTES
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("copying", total=total)
        return run_export(planned, lambda count, _: bar.advance(task, count))


if __name__ == "__main__":
    refuse_empty_arguments()
    app()
