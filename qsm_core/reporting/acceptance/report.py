"""The stage "report_acceptance": one page on whether a student may replace its baseline.

    python -m qsm_core.reporting.acceptance.report --spec spec.json

Inputs: `verdict` (see `acceptance.verdict.stage`); for the run card the answers of the arms, and
`adapter` where the run trained one.
`reporting.page.report` describes the files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.acceptance.results.arm_folder import read_seconds
from qsm_core.acceptance.verdict.stage import TABLES, VERDICT_FILE
from qsm_core.reporting.acceptance.config import AcceptanceReport
from qsm_core.reporting.acceptance.figures import acceptance_figures, training_figure
from qsm_core.reporting.acceptance.gallery import failures
from qsm_core.reporting.acceptance.views import (
    arms_view,
    gates_view,
    levels_view,
    pivot_view,
    readings_view,
    runs_view,
    slices_view,
)
from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.formatting import decimal, p_value
from qsm_core.reporting.page.markdown import text_markdown
from qsm_core.reporting.page.pieces import SUMMARY, Pieces, Table, Text
from qsm_core.reporting.page.report import Report, write_report
from qsm_core.reporting.page.run_card import run_card
from qsm_core.reporting.page.sections import Section, Tile
from qsm_core.reporting.page.table_view import TableView, frame_view
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

TRAINING_LOG = "training_log.csv"
_NAMES = (
    "gates",
    "levels",
    "readings",
    "slices",
    "arms",
    "cases",
    "reasons",
    "content",
    "runs",
)
_FOOTER = (
    "Made by qsm from stored answers: another threshold, rubric or gate needs no model and no GPU."
)
_CASES = {
    "case_id": "Case",
    "baseline": "Baseline",
    "student": "Student",
    "difference": "Difference",
    "baseline_reason": "Failure of the baseline",
    "student_reason": "Failure of the student",
}


def run(context: StageContext) -> dict[str, Any]:
    """Write the report and return the verdict."""
    config = parse_config(AcceptanceReport, context.config)
    folder = context.inputs["verdict"]
    verdict = json.loads((folder / VERDICT_FILE).read_text(encoding="utf-8"))
    tables = {name: pd.read_parquet(folder / TABLES / f"{name}.parquet") for name in _NAMES}
    tables["arms"] = _with_seconds(tables["arms"], context.inputs)
    answers = pd.read_parquet(folder / TABLES / "answers.parquet")
    names = (verdict["arms"][0]["name"], verdict["arms"][1]["name"])
    views = _views(tables, verdict)
    shown = {name: ReportTable(tables[name], view) for name, view in views.items()}
    figures = acceptance_figures(tables["cases"], verdict["settings"]["ratio_at_least"])
    if "adapter" in context.inputs:
        log = pd.read_csv(context.inputs["adapter"] / TRAINING_LOG)
        figures["training"] = training_figure(log)
    sentences = _sentences(verdict)
    gates = views["gates"]
    short = TableView(gates.caption, *_first(gates, (0, 1, 2, 4, 5)))
    slices = views["slices"]
    pieces = Pieces(
        texts={SUMMARY: Text("Verdict", text_markdown(config.title, sentences, [gates]))},
        tables={
            "gates": Table(gates.caption, gates.records()),
            **({"slices": Table(slices.caption, slices.records())} if slices.rows else {}),
        },
        terminal_tables={"gates": Table(short.caption, short.records())},
        sentences={SUMMARY: tuple(sentences)},
    )
    sections = [
        Section("verdict", "Verdict", abstract=sentences, tiles=_tiles(verdict), tables=["gates"]),
        Section("slices", "By tier", tables=["slices"]),
        Section(
            "validity", "Are the answers valid?", [_validity(verdict)], tables=["levels", "reasons"]
        ),
        Section(
            "means",
            "Are they good?",
            figures=["paired", "distributions"],
            tables=["readings", "content"],
            folded=["cases"],
        ),
        Section(
            "failures",
            "Failures, as they were written",
            texts=failures(answers, names, config.failures),
        ),
        Section(
            "training",
            "How the student was trained",
            figures=["training"] if "training" in figures else [],
        ),
        Section("runs", "Runs over time", tables=["runs"]),
        Section("notes", "Notes", sentences=verdict["notes"]),
        Section("cost", "Cost", tables=["arms", "cost"]),
        Section("card", "Run card", folded=["stages", "run_card"]),
    ]
    settings = {"task": verdict["task"], "rubric": verdict["rubric"], **verdict["settings"]}
    write_report(
        context.out,
        Report(
            title=config.title,
            sections=sections,
            tables=shown,
            figures=figures,
            pieces=pieces,
            results=verdict,
            run_card=run_card(context.inputs, settings),
            footer=_FOOTER,
        ),
    )
    return {"decision": verdict["decision"], "exit_code": verdict["exit_code"]}


def _with_seconds(arms: pd.DataFrame, inputs: Mapping[str, Path]) -> pd.DataFrame:
    """Return the arms with how long their answers took, where that was measured here."""
    taken = {
        name: sum(read_seconds(inputs[name]).values()) for name in arms["name"] if name in inputs
    }
    return arms.assign(seconds=[taken.get(name) or float("nan") for name in arms["name"]])


def _views(tables: dict[str, pd.DataFrame], verdict: dict[str, Any]) -> dict[str, TableView]:
    return {
        "gates": gates_view(tables["gates"], verdict["settings"]["alpha"]),
        "levels": levels_view(tables["levels"]),
        "readings": readings_view(tables["readings"]),
        "slices": slices_view(tables["slices"]),
        "arms": arms_view(tables["arms"]),
        "cases": frame_view("Every case, worst difference first", tables["cases"], _CASES),
        "reasons": pivot_view("Why answers fail", tables["reasons"], "reason", "cases", "Reason"),
        "content": pivot_view(
            "What form cannot buy: means over the cases",
            tables["content"],
            "measure",
            "mean",
            "Measure",
        ),
        "runs": runs_view(tables["runs"]),
    }


def _sentences(verdict: dict[str, Any]) -> list[str]:
    sentences = [str(verdict["sentence"])]
    if verdict["by_points"] != verdict["by_bounds"]:
        sentences.append(
            f"The values alone say {verdict['by_points']}; with their uncertainty the cases say "
            f"{verdict['by_bounds']}."
        )
    reading = verdict["readings"][0]
    sentences.append(
        f"Mean score, failures as 0: baseline {decimal(reading['baseline'])}, student "
        f"{decimal(reading['student'])}; ratio {decimal(reading['ratio'])}."
    )
    return sentences


def _tiles(verdict: dict[str, Any]) -> list[Tile]:
    tiles = [
        Tile("Verdict", verdict["decision"], f"by {verdict['settings']['decide_by']}"),
        Tile("By points", verdict["by_points"], "the values, whatever the number of cases"),
        Tile("By bounds", verdict["by_bounds"], "with their uncertainty"),
    ]
    if verdict["cases_needed"] is not None:
        tiles.append(Tile("Cases needed", f"{verdict['cases_needed']:,}", "to decide, about"))
    return tiles


def _validity(verdict: dict[str, Any]) -> str:
    first, second = verdict["arms"]
    return (
        f"{first['valid']} of {first['num_cases']} answers of {first['name']} and "
        f"{second['valid']} of {second['num_cases']} of {second['name']} are valid; McNemar's "
        f"exact test of the difference: p {_compared(verdict['mcnemar']['p_value'])}."
    )


def _compared(value: float | None) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def _first(
    view: TableView, columns: tuple[int, ...]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    return (
        tuple(view.headers[i] for i in columns),
        tuple(tuple(row[i] for i in columns) for row in view.rows),
    )


if __name__ == "__main__":
    run_entry(run)
