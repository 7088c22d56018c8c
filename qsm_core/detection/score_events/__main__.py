"""Score tables of events against others: precision, recall and F1, without a model.

    qsm score-events annotations/ detections/
    qsm score-events truth.txt found.csv --iou 0.3 --iou 0.5 --out scores.csv
    qsm score-events validation_set/ predictions.csv --form dcase

Raven's and Audacity's tables, CSV, DCASE's and RTTM are read, each by what it looks like.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from qsm_core.detection.annotations.forms import TABLE_FORMS, TableForm
from qsm_core.detection.metrics.counting import COUNTS
from qsm_core.detection.score_events.scoring import (
    EventScores,
    ScoreSettings,
    read_both,
    score_few_shot,
    score_tables,
    subsets_of,
)
from qsm_core.errors import ProblemsError
from qsm_core.json_values import to_json_values

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console()
_MOST_SHOWN = 30
_TITLES = {
    "recording_id": "recording",
    "n_truth": "true",
    "n_found": "found",
    "tp": "hits",
    "fp": "false",
    "fn": "missed",
    "average_precision": "AP",
    "onset_error_ms": "begin off by, ms",
    "onset_bias_ms": "bias",
    "offset_error_ms": "end off by, ms",
    "offset_bias_ms": "bias",
}
_TABLES = ("overall", "labels", "recordings", "qualities")


@app.command()
def score_events(
    truth: Annotated[Path, typer.Argument(help="Table or folder of annotations.")],
    found: Annotated[Path, typer.Argument(help="Table or folder of detections.")],
    form: Annotated[
        str, typer.Option(help=f"Form of TRUTH: {', '.join(TABLE_FORMS)}; dcase: few-shot score.")
    ] = "auto",
    iou: Annotated[
        list[float] | None, typer.Option(help="A match must exceed it; may be given several times.")
    ] = None,
    collar: Annotated[
        list[float] | None,
        typer.Option(help="Collar of begins and ends in seconds; may be given several times."),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column with the labels, if its name is unusual.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write all tables: .csv or .json.")] = None,
    *,
    greedy: Annotated[
        bool, typer.Option("--greedy", help="Also match as ANIMAL-SPOT-alpaca does, at 0.40.")
    ] = False,
    any_label: Annotated[
        bool, typer.Option("--any-label", help="Compare without looking at labels.")
    ] = False,
) -> None:
    """Score tables of events against others: precision, recall and F1, without a model."""
    try:
        _check(form, iou, collar, out)
        known: TableForm = form  # type: ignore[assignment]
        first, second = read_both(truth, found, known, label_column)
        if form == "dcase":
            scores = score_few_shot(first, second, subsets_of(truth, first), (iou or [0.3])[0])
        else:
            settings = ScoreSettings(
                iou=tuple(iou) if iou else () if collar else (0.3, 0.5),
                collars_s=tuple(collar or ()),
                greedy=greedy,
                by_label=not any_label,
            )
            scores = score_tables(first, second, settings)
    except ProblemsError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from error
    _show(scores)
    if out is not None:
        _write(out, scores)
        console.print(f"wrote {out}", markup=False)


def _check(
    form: str, iou: list[float] | None, collar: list[float] | None, out: Path | None
) -> None:
    found = []
    if form not in TABLE_FORMS:
        found.append(f"--form {form}: allowed are {', '.join(TABLE_FORMS)}")
    found += [f"--iou {v:g}: must be at least 0 and below 1" for v in iou or () if not 0 <= v < 1]
    found += [f"--collar {v:g}: must not be below 0" for v in collar or () if not v >= 0]
    if form == "dcase" and len(iou or ()) > 1:
        found.append("--iou: give one for the few-shot score")
    if out is not None and out.suffix not in (".csv", ".json"):
        found.append(f"--out {out}: the name must end in .csv or .json")
    if found:
        raise ProblemsError("the events cannot be scored", found)


def _show(scores: EventScores) -> None:
    for note in scores.notes:
        console.print(f"note: {note}", markup=False)
    rates = [name for name in scores.overall.columns if not name.endswith("_ms")]
    errors = ["criterion", *[name for name in scores.overall.columns if name.endswith("_ms")]]
    console.print(_view("Over everything", scores.overall[rates]))
    if len(errors) > 1:
        console.print(_view("Begin and end of hits", scores.overall[errors]))
    for title, table in (("By label", scores.labels), ("By quality", scores.qualities)):
        if len(table) and table.iloc[:, 1].nunique() > 1:
            console.print(_view(title, table))
    each = scores.recordings
    first = each["criterion"].iloc[0] if len(each) else ""
    shown = each[each["criterion"] == first].drop(columns="criterion")
    if len(shown) > 1:
        console.print(_view(f"By recording ({first})", shown.head(_MOST_SHOWN)))
        if len(shown) > _MOST_SHOWN:
            console.print(f"{_MOST_SHOWN} of {len(shown)} recordings; --out writes all of them")


def _view(title: str, frame: pd.DataFrame) -> Table:
    used = frame.dropna(axis="columns", how="all")
    if "ignored" in used and not used["ignored"].any():
        used = used.drop(columns="ignored")
    view = Table(*(_TITLES.get(name, name) for name in map(str, used.columns)), title=title)
    for row in used.to_dict("records"):
        view.add_row(*(_cell(str(name), value) for name, value in row.items()))
    return view


def _cell(name: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    if name in COUNTS:
        return f"{value:.0f}"
    return f"{value:.1f}" if name.endswith("_ms") else f"{value:.3f}"


def _write(path: Path, scores: EventScores) -> None:
    tables = {name: getattr(scores, name) for name in _TABLES}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        values = {name: to_json_values(table.to_dict("records")) for name, table in tables.items()}
        path.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n")
        return
    rows = [table.assign(table=name) for name, table in tables.items() if len(table)]
    joined = pd.concat(rows, ignore_index=True)
    columns = ["table", *[name for name in joined.columns if name != "table"]]
    joined[columns].to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    app()
