"""The commands of `python -m qsm_core.store`: list, show, verify, prune, adopt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsm_core.errors import QsmError
from qsm_core.store.adoption import adopt as adopt_output
from qsm_core.store.inventory import Holding, find_key, find_wanted, take_inventory
from qsm_core.store.layout import Layout
from qsm_core.store.manifest import read_manifest
from qsm_core.store.progress import read_progress
from qsm_core.store.prune import choose_removals, remove
from qsm_core.store.spec import StageSpec
from qsm_core.store.store import Store
from qsm_core.store.verify import inspect_output

DAMAGED_EXIT = 1
ERROR_EXIT = 2

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Look after the store of stage outputs.",
    pretty_exceptions_enable=False,
)

Root = Annotated[Path, typer.Option(help="Folder of the store.", envvar="QSM_STORE")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]
Stage = Annotated[str | None, typer.Option(help="Only this stage.")]
DEFAULT_ROOT = Path(".qsm/store")


@app.command("list")
def list_holdings(root: Root = DEFAULT_ROOT, stage: Stage = None, as_json: AsJson = False) -> None:
    """List outputs, unfinished work and what was moved aside."""
    with _errors_as_exit_codes():
        rows = [
            _row(holding)
            for holding in take_inventory(Layout(root))
            if stage in (None, holding.stage)
        ]
    if as_json:
        _print_json(rows)
        return
    title = f"{root}: {len(rows)} folders, {_size(sum(row['bytes'] for row in rows))}"
    table = Table("stage", "key", "what", "size", "last used", "made in", "runs", title=title)
    for row in rows:
        table.add_row(
            row["stage"],
            row["key"][:8],
            row["state"],
            _size(row["bytes"]),
            row["used_at"][:16],
            "" if row["seconds"] is None else f"{row['seconds']:.1f} s",
            _first_and_count(row["runs"]),
        )
    _console().print(table)


@app.command()
def show(stage: str, key: str, root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """Show what one output was made from, how, and what is in it. KEY may be its beginning."""
    with _errors_as_exit_codes():
        layout = Layout(root)
        folder = layout.output(stage, find_key(layout, stage, key))
        manifest = read_manifest(folder)
    if as_json:
        _print_json({"path": str(folder), **manifest.to_json()})
        return
    console = _console()
    console.print(Text.assemble((stage, "bold"), f" {manifest.spec.key}\n{folder}"))
    for title, values in (
        ("summary", manifest.summary),
        ("config", manifest.spec.config),
        ("inputs", manifest.spec.inputs),
        ("provenance", manifest.provenance),
    ):
        console.print(_pairs(title, values))
    table = Table("file", "size", "SHA-256", title=f"files, content digest {manifest.digest[:16]}")
    for name, record in manifest.files.items():
        table.add_row(name, _size(record.size), record.sha256[:16])
    console.print(table)


@app.command()
def verify(root: Root = DEFAULT_ROOT, stage: Stage = None, as_json: AsJson = False) -> None:
    """Check every file of every output against its manifest; end with 1 if one is damaged."""
    with _errors_as_exit_codes():
        store = Store(root)
        outputs = [holding for holding in take_inventory(store.layout) if holding.kind == "output"]
        rows = [
            {
                "stage": holding.stage,
                "key": holding.key,
                "problems": list(inspect_output(holding.path, holding.key, store.memo).problems),
            }
            for holding in outputs
            if stage in (None, holding.stage)
        ]
    damaged = [row for row in rows if row["problems"]]
    if as_json:
        _print_json(rows)
    else:
        for row in damaged:
            for problem in row["problems"]:
                typer.echo(f"{row['stage']} {str(row['key'])[:8]}: {problem}")
        typer.echo(f"{len(rows) - len(damaged)} of {len(rows)} outputs are whole")
    if damaged:
        raise typer.Exit(DAMAGED_EXIT)


@app.command()
def prune(
    root: Root = DEFAULT_ROOT,
    older_than: Annotated[float | None, typer.Option(help="Days without use.")] = None,
    unreferenced: Annotated[bool, typer.Option(help="What no run refers to.")] = False,
    max_gib: Annotated[float | None, typer.Option(help="Largest size of the store.")] = None,
    include_referenced: Annotated[bool, typer.Option(help="Also what runs refer to.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it; otherwise only say what.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what nobody needs. Without --yes nothing is removed."""
    with _errors_as_exit_codes():
        layout = Layout(root)
        chosen = choose_removals(
            take_inventory(layout),
            older_than_days=older_than,
            unreferenced=unreferenced,
            max_bytes=None if max_gib is None else int(max_gib * 2**30),
            include_referenced=include_referenced,
        )
        gone = remove(layout, chosen) if yes else []
    if as_json:
        listed = [{**_row(removal.holding), "reason": removal.reason} for removal in chosen]
        _print_json({"chosen": listed, "removed": len(gone)})
        return
    for removal in chosen:
        where = f"{removal.holding.stage} {removal.holding.key[:8]}"
        typer.echo(f"{where}: {_size(removal.holding.bytes)}, {removal.reason}")
    total = _size(sum(removal.holding.bytes for removal in (gone if yes else chosen)))
    done = f"removed {len(gone)} of {len(chosen)}" if yes else f"would remove {len(chosen)}"
    typer.echo(f"{done}, {total}" + ("" if yes else "; add --yes to do it"))


@app.command()
def adopt(
    stage: str,
    key: str,
    for_key: Annotated[str, typer.Option("--for", help="Key that a run or a plan asked for.")],
    reason: Annotated[str, typer.Option(help="Why it is right; stays in the provenance.")],
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Take the existing output KEY of STAGE as the output of another key, on the record."""
    with _errors_as_exit_codes():
        store = Store(root)
        wanted = find_wanted(store.layout, stage, for_key)
        spec = StageSpec.from_json(json.loads(wanted.read_text()))
        output = adopt_output(store, spec, find_key(store.layout, stage, key), reason)
    adoption = output.manifest.provenance["adopted"]
    if as_json:
        _print_json({"path": str(output.path), **adoption})
        return
    typer.echo(f"{stage} {spec.key8} is now the output of {adoption['from_key'][:8]}, although:")
    for difference in adoption["differences"]:
        typer.echo(f"  {difference}")


@contextmanager
def _errors_as_exit_codes() -> Iterator[None]:
    try:
        yield
    except QsmError as error:
        typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
        raise typer.Exit(ERROR_EXIT) from error


def _row(holding: Holding) -> dict[str, Any]:
    """Return one folder as a row of the list."""
    row = {
        "stage": holding.stage,
        "key": holding.key,
        "kind": holding.kind,
        "state": holding.kind,
        "path": str(holding.path),
        "bytes": holding.bytes,
        "used_at": datetime.fromtimestamp(holding.used_at).astimezone().isoformat(" ", "seconds"),
        "runs": list(holding.runs),
        "seconds": None,
    }
    if holding.kind == "output":
        return {**row, **_provenance_columns(holding.path)}
    progress = read_progress(holding.path / "progress.json") if holding.kind == "work" else None
    if progress is not None:
        state = "running" if holding.claimed else "unfinished"
        row["state"] = f"{state}: {progress.message} ({progress.done} of {progress.total})"
    return row


def _provenance_columns(folder: Path) -> dict[str, Any]:
    try:
        provenance = read_manifest(folder).provenance
    except QsmError as error:
        return {"state": f"damaged: {error}"}
    state = "output, adopted" if "adopted" in provenance else "output"
    return {"state": state, "seconds": provenance.get("seconds")}


def _pairs(title: str, values: Any) -> Table:
    table = Table(title=title, show_header=False)
    for name, value in values.items():
        table.add_row(str(name), value if isinstance(value, str) else json.dumps(value))
    return table


def _console() -> Console:
    """Return a console that prints names as they are: brackets in them are no markup."""
    return Console(markup=False, emoji=False)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _first_and_count(names: list[str]) -> str:
    return names[0] + (f" + {len(names) - 1}" if len(names) > 1 else "") if names else ""


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
