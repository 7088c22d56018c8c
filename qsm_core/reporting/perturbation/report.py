"""The stage "report_perturbation": one page on what damage did to a language model.

    python -m qsm_core.reporting.perturbation.report --spec spec.json

Inputs: `summary` (see `perturbation.summary.stage`) and, for the run card, what it was made of.
`reporting.page.report` describes the files.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from qsm_core.perturbation.cells import CLEAN
from qsm_core.perturbation.summary.stage import TABLES
from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.formatting import decimal, percent
from qsm_core.reporting.page.markdown import text_markdown
from qsm_core.reporting.page.pieces import SUMMARY, Pieces, Table, Text
from qsm_core.reporting.page.report import Report, write_report
from qsm_core.reporting.page.run_card import run_card
from qsm_core.reporting.page.sections import Section
from qsm_core.reporting.perturbation.config import PerturbationReport
from qsm_core.reporting.perturbation.figures import perturbation_figures
from qsm_core.reporting.perturbation.views import (
    cost_view,
    curves_view,
    first_columns,
    half_view,
    side_by_side,
    tasks_view,
)
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

_NAMES = ("cells", "texts", "curves", "text_curves", "half_levels")
_FOOTER = "Made by qsm from stored rows: another table or figure needs no model and no GPU."


def run(context: StageContext) -> dict[str, Any]:
    """Write the report."""
    config = parse_config(PerturbationReport, context.config)
    folder = context.inputs["summary"] / TABLES
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _NAMES}
    views = {
        "half_levels": half_view(tables["half_levels"]),
        "curves": curves_view(tables["curves"]),
        "text_curves": tasks_view(tables["text_curves"]),
        "made": cost_view(tables["cells"], tables["texts"]),
    }
    shown = {
        name: ReportTable(tables.get(name, tables["cells"]), view) for name, view in views.items()
    }
    figures = perturbation_figures(tables["curves"], tables["text_curves"])
    sentences = _sentences(tables["curves"], tables["half_levels"])
    curves = views["curves"]
    pieces = Pieces(
        texts={
            SUMMARY: Text(
                "Response", text_markdown(config.title, sentences, [views["half_levels"], curves])
            )
        },
        tables={
            name.replace("_", "-"): Table(views[name].caption, views[name].records())
            for name in ("half_levels", "curves")
            if views[name].rows
        },
        terminal_tables={
            "curves": Table(curves.caption, first_columns(curves, (0, 1, 5, 6, 7)).records())
        },
        sentences={SUMMARY: tuple(sentences)},
    )
    doses = [name for name in figures if name.startswith("dose_")]
    sections = [
        Section("response", "Response", abstract=sentences, figures=doses, tables=["half_levels"]),
        Section("norm", "By the size of the change", figures=_if_there(figures, "norm")),
        Section(
            "tasks", "What is asked", figures=_if_there(figures, "tasks"), folded=["text_curves"]
        ),
        Section(
            "texts", "Texts, side by side", texts=side_by_side(tables["texts"], config.prompts)
        ),
        Section("levels", "Every level", tables=["curves"]),
        Section("cost", "Cost", tables=["made", "cost"]),
        Section("card", "Run card", folded=["stages", "run_card"]),
    ]
    write_report(
        context.out,
        Report(
            title=config.title,
            sections=sections,
            tables=shown,
            figures=figures,
            pieces=pieces,
            results={"sentences": sentences},
            run_card=run_card(context.inputs, {}),
            footer=_FOOTER,
        ),
    )
    return {"conditions": int(tables["curves"]["condition"].nunique())}


def _if_there(figures: Any, name: str) -> list[str]:
    return [name] if name in figures else []


def _sentences(curves: pd.DataFrame, halves: pd.DataFrame) -> list[str]:
    sentences = []
    for row in halves.to_dict("records"):
        name = f"{row['condition']}"
        if row["not_reached"] == row["draws"]:
            sentences.append(f"{name}: more than half of the top-1 tokens stay at every level.")
            continue
        ends = (
            ""
            if pd.isna(row["level_low"])
            else f" [{decimal(row['level_low'])}, {decimal(row['level_high'])}]"
        )
        sentences.append(
            f"{name}: half of the top-1 tokens are lost at level {decimal(row['level'])}{ends}, a "
            f"change of {percent(row['relative_norm'], 0)} % of the norm of the weights."
        )
    lost = int(curves["lost"].sum())
    if lost:
        sentences.append(f"{lost} damaged models give no numbers any more.")
    clean = curves[curves["condition"] == CLEAN]
    if len(clean):
        sentences.append(
            f"The clean model has a perplexity of {decimal(clean['perplexity'].iloc[0], 1)} on the "
            "fixed text."
        )
    return sentences


if __name__ == "__main__":
    run_entry(run)
