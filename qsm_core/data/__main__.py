"""Check labelled clips before use, or write them as a canonical manifest.

python -m qsm_core.data check PATH
python -m qsm_core.data import PATH --out FILE
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from qsm_core.data.checks import MOST_SHOWN, CheckResult, check_manifest, write_problems
from qsm_core.data.config import KINDS
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.manifest import ManifestTable
from qsm_core.data.reading import CutSettings
from qsm_core.errors import ProblemsError
from qsm_core.labels import SPLITS, Label
from qsm_core.plurals import counted

app = typer.Typer(
    help="Check labelled clips before use, or write them as a canonical manifest.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

PathArgument = Annotated[Path, typer.Argument(help="Folder or manifest with labelled clips.")]
KindOption = Annotated[str, typer.Option(help=f"Form of the data: {', '.join(KINDS)}.")]
RootOption = Annotated[
    Path | None, typer.Option(help="Folder that the paths of a manifest are relative to.")
]
PatternOption = Annotated[
    str | None, typer.Option(help="Regular expression with one group that finds the group.")
]
ClipOption = Annotated[int, typer.Option(min=20, help="Length of a clip in ms.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides where long recordings are cut.")]


@app.command()
def check(
    path: PathArgument,
    kind: KindOption = "auto",
    audio_root: RootOption = None,
    group_pattern: PatternOption = None,
    clip_ms: ClipOption = 1000,
    seed: SeedOption = 42,
    *,
    keep_short: Annotated[bool, typer.Option(help="Keep clips shorter than clip_ms.")] = False,
    problems: Annotated[Path | None, typer.Option(help="CSV file for all problems.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Files read at the same time.")] = 4,
) -> None:
    """Read every clip and list all problems; exits with code 1 if there are any."""
    table = _import(path, kind, ImportOptions(audio_root, group_pattern, clip_ms, seed=seed))
    settings = CutSettings(clip_ms, "keep" if keep_short else "refuse")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading clips", total=len(table))

        def report(done: int, total: int, _: str) -> None:
            progress.update(task, completed=done, total=total)

        result = check_manifest(table, settings, threads=threads, report=report)
    _show_counts(table)
    _show_too_few_groups(table)
    _show_problems(result, problems)
    if result.problems:
        raise typer.Exit(1)


@app.command("import")
def import_(
    path: PathArgument,
    out: Annotated[Path, typer.Option(help="Manifest to write: .parquet or .csv.")],
    kind: KindOption = "auto",
    audio_root: RootOption = None,
    group_pattern: PatternOption = None,
    clip_ms: ClipOption = 1000,
    seed: SeedOption = 42,
) -> None:
    """Write clips of any known form as a canonical manifest; audio is not checked."""
    table = _import(path, kind, ImportOptions(audio_root, group_pattern, clip_ms, seed=seed))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        table.save(out)
    except ProblemsError as error:
        _fail(error)
    _show_counts(table)
    console.print(f"wrote {len(table)} rows to {out}", markup=False)


def _import(path: Path, kind: str, options: ImportOptions) -> ManifestTable:
    try:
        table = import_manifest(path, kind, options=options)
    except ProblemsError as error:
        _fail(error)
    console.print(f"{path}: read as {table.kind}", markup=False)
    for note in table.notes:
        console.print(f"note: {note}", markup=False)
    return table


def _fail(error: ProblemsError) -> None:
    console.print(f"error: {error}", style="red", markup=False)
    raise typer.Exit(1)


def _show_counts(table: ManifestTable) -> None:
    """Show clips and groups of every split and class."""
    frame = table.frame.drop_duplicates("clip_id")
    shown = Table("split", "label", "clips", "groups")
    for split in [*SPLITS, None]:
        rows = frame[frame["split"].isna() if split is None else frame["split"] == split]
        for label in Label:
            of_class = rows[rows["label"] == label.value]
            if len(of_class):
                numbers = (str(len(of_class)), str(of_class["group_id"].nunique()))
                shown.add_row(split or "not divided", label.value, *numbers)
    console.print(shown)


def _show_too_few_groups(table: ManifestTable) -> None:
    """Note classes with too few groups: each of the three splits of a run needs one."""
    undivided = table.frame[table.frame["split"].isna()]
    groups = undivided.groupby("label")["group_id"].nunique()
    few = [f"{label} {count}" for label, count in groups.items() if count < len(SPLITS)]
    if few:
        console.print(
            f"note: groups of {', '.join(few)}: to be divided into {', '.join(SPLITS)} a class "
            f"needs {len(SPLITS)} or more; as test_data these clips can be used",
            markup=False,
        )


def _show_problems(result: CheckResult, full_list: Path | None) -> None:
    if full_list is not None:
        write_problems(full_list, result.problems)
    if not result.problems:
        console.print(f"{result.clips} rows, no problems", style="green", markup=False)
        return
    shown = Table("problem", "row", "file", "what is wrong", title="Problems")
    for problem in result.problems[:MOST_SHOWN]:
        row = "" if problem.row is None else str(problem.row)
        shown.add_row(problem.kind, row, problem.path or "", problem.text)
    console.print(shown)
    kinds = ", ".join(f"{count} {kind}" for kind, count in result.by_kind().items())
    problems = counted(len(result.problems), "problem")
    console.print(f"{problems} in {counted(result.clips, 'row')}: {kinds}", markup=False)
    if len(result.problems) > MOST_SHOWN and full_list is None:
        console.print(f"the first {MOST_SHOWN} are shown; --problems FILE writes all of them")


if __name__ == "__main__":
    app()
