"""Check labelled clips before use, look at them, or write them as a canonical manifest.

python -m qsm_core.data check PATH
python -m qsm_core.data describe PATH --sheet clips.png
python -m qsm_core.data import PATH --out FILE
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from qsm_core.data.checks import MOST_SHOWN, CheckResult, check_manifest, write_problems
from qsm_core.data.config import KINDS, OwnSplits, SelectionConfig
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.manifest import ManifestTable
from qsm_core.data.measures import measure_clips
from qsm_core.data.reading import CutSettings, Report, read_clips
from qsm_core.data.selection import select_clips
from qsm_core.errors import ProblemsError
from qsm_core.labels import SPLITS, Label
from qsm_core.plurals import counted
from qsm_core.spelling import printable
from qsm_core.typed_arguments import refuse_empty_arguments

_CLIPS_ON_SHEET = 24

app = typer.Typer(
    help="Check labelled clips before use, look at them, or write them as a canonical manifest.",
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
    own_splits: Annotated[
        OwnSplits, typer.Option(help="ignore: as if the table had no splits of its own.")
    ] = "keep",
    problems: Annotated[Path | None, typer.Option(help="CSV file for all problems.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Files read at the same time.")] = 4,
) -> None:
    """Read every clip and list all problems; exits with code 1 if there are any."""
    table = _import(path, kind, ImportOptions(audio_root, group_pattern, clip_ms, seed=seed))
    if own_splits == "ignore":
        table = table.with_frame(table.frame.assign(split=None))
    settings = CutSettings(clip_ms, "keep" if keep_short else "refuse")
    with _progress(len(table)) as report:
        result = check_manifest(table, settings, threads=threads, report=report)
    _show_counts(table)
    _show_too_few_groups(table)
    _show_rendered(table)
    _show_problems(result, problems)
    if result.problems:
        raise typer.Exit(1)


@app.command()
def describe(
    path: PathArgument,
    kind: KindOption = "auto",
    audio_root: RootOption = None,
    group_pattern: PatternOption = None,
    clip_ms: ClipOption = 1000,
    seed: SeedOption = 42,
    *,
    limit: Annotated[int | None, typer.Option(min=2, help="Look at so many clips alone.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="CSV file for the measures of each clip.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Image (.png, .pdf, .svg) for spectrograms of 24 clips.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Files read at the same time.")] = 4,
) -> None:
    """Show what clips measure: lengths, levels, share of sound, SNR; and how they look."""
    table = _import(path, kind, ImportOptions(audio_root, group_pattern, clip_ms, seed=seed))
    settings = CutSettings(clip_ms, "keep")
    if limit is not None:
        table = select_clips(table, SelectionConfig(limit=limit), settings, seed=seed)
    with _progress(len(table)) as report:
        measures = measure_clips(table, settings, threads=threads, report=report)
    _show_counts(table)
    _show_measures(table, measures)
    unread = int(measures["level_dbfs"].isna().sum())
    if unread:
        console.print(
            f"{counted(unread, 'row')} not measured; `qsm_core.data check` says why", markup=False
        )
    if out is not None:
        described = table.frame[["clip_id", "path", "label", "split", "group_id", "condition"]]
        described.join(measures.drop(columns="snr_db")).assign(snr_db=measures["snr_db"]).to_csv(
            out, index=False
        )
        console.print(f"wrote {len(table)} rows to {printable(str(out))}", markup=False)
    if sheet is not None:
        _write_sheet(table, settings, sheet, seed)


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


@contextmanager
def _progress(total: int) -> Iterator[Report]:
    """Show how many clips are read."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading clips", total=total)

        def report(done: int, total: int, _: str) -> None:
            progress.update(task, completed=done, total=total)

        yield report


def _show_measures(table: ManifestTable, measures: pd.DataFrame) -> None:
    """Show the spread of each measure, by class."""
    shown = Table("measure", "label", "clips", "lowest", "5 %", "median", "95 %", "highest")
    for name in measures:
        for label in Label:
            values = measures[name][table.frame["label"] == label.value].dropna()
            if len(values):
                spread = values.quantile([0, 0.05, 0.5, 0.95, 1])
                cells = (f"{value:.4g}" for value in spread)
                shown.add_row(str(name), label.value, str(len(values)), *cells)
    console.print(shown)


def _write_sheet(table: ManifestTable, settings: CutSettings, sheet: Path, seed: int) -> None:
    from qsm_core.data.spectrogram_sheet import write_sheet  # librosa takes a second to import

    few = select_clips(table, SelectionConfig(limit=_CLIPS_ON_SHEET), settings, seed=seed)
    titles = few.frame["label"] + " " + few.frame["clip_id"].str[-24:]
    clips = [
        (printable(titles[clip.row]), clip.waveform)
        for clip in read_clips(few, settings)
        if clip.waveform is not None
    ][:_CLIPS_ON_SHEET]
    write_sheet(sheet, clips)
    console.print(f"wrote {counted(len(clips), 'spectrogram')} to {sheet}", markup=False)


def _show_rendered(table: ManifestTable) -> None:
    """Note clips that are already rendered: a run uses them as they are."""
    rendered = int(table.frame["condition"].notna().sum())
    if rendered:
        console.print(
            f"note: {counted(rendered, 'row')} already rendered in "
            f"{counted(table.frame['condition'].nunique(), 'condition')}; run them with "
            "--conditions as_recorded",
            markup=False,
        )


def _import(path: Path, kind: str, options: ImportOptions) -> ManifestTable:
    try:
        table = import_manifest(path, kind, options=options)
    except ProblemsError as error:
        _fail(error)
    console.print(f"{printable(str(path))}: read as {table.kind}", markup=False)
    for note in table.notes:
        console.print(f"note: {printable(note)}", markup=False)
    return table


def _fail(error: ProblemsError) -> None:
    lines = map(printable, str(error).split("\n"))
    console.print("error: " + "\n".join(lines), style="red", markup=False)
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
        cells = (problem.kind, row, problem.path or "", problem.text)
        shown.add_row(*(Text(printable(cell)) for cell in cells))
    console.print(shown)
    kinds = ", ".join(f"{count} {kind}" for kind, count in result.by_kind().items())
    problems = counted(len(result.problems), "problem")
    console.print(f"{problems} in {counted(result.clips, 'row')}: {kinds}", markup=False)
    if len(result.problems) > MOST_SHOWN and full_list is None:
        console.print(f"the first {MOST_SHOWN} are shown; --problems FILE writes all of them")


if __name__ == "__main__":
    refuse_empty_arguments()
    app()
