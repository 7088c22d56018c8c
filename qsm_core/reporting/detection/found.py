"""The stage "report_found": one page on what a detector found in recordings.

    python -m qsm_core.reporting.detection.found --spec spec.json

Inputs: `found` (see `detection.production.find`) and `recordings` (the listing).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsm_core.detection.failures import read_failures
from qsm_core.json_values import to_json_values
from qsm_core.plurals import counted
from qsm_core.reporting.detection.config import FoundReport
from qsm_core.reporting.detection.gallery import gallery
from qsm_core.reporting.page.canvas import WIDTH_IN, dotted_line, new_figure
from qsm_core.reporting.page.drawings import ReportFigure
from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.markdown import text_markdown
from qsm_core.reporting.page.pieces import SUMMARY, Pieces, Table, Text
from qsm_core.reporting.page.report import Report, write_report
from qsm_core.reporting.page.run_card import run_card
from qsm_core.reporting.page.sections import Section
from qsm_core.reporting.page.style import series_style
from qsm_core.reporting.page.table_view import TableView, frame_view
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

_MOST_ROWS = 50
_FOOTER = (
    "Made by qsm from stored score tracks; the threshold can be changed without scoring again."
)
_HEADERS = {
    "recording_id": "Recording",
    "duration_s": "Length (s)",
    "detections": "Detections",
    "detected_s": "Detected (s)",
    "detections_per_hour": "An hour",
}


def run(context: StageContext) -> dict[str, Any]:
    """Write the report and return how many events and recordings it is about."""
    config = parse_config(FoundReport, context.config)
    folder = context.inputs["found"]
    events = pd.read_parquet(folder / "detections.parquet")
    summary = pd.read_csv(folder / "summary.csv", dtype={"recording_id": "str"})
    scored = summary[summary["duration_s"].notna()]
    failed = read_failures(folder)
    sounds = gallery(
        _examples(events, config),
        context.inputs["recordings"],
        {config.detector: config.detector},
        context.runtime.get("audio"),
    )
    sentences = _sentences(scored, failed, config)
    most = _most(scored)
    figures = {"scores": _scores_figure(events, config)} if len(events) else {}
    if len(scored) > 1 and len(events):
        figures["rates"] = _rates_figure(scored, config)
    tables = {
        "recordings": ReportTable(summary, most),
        "failed": ReportTable(
            failed,
            frame_view(
                "Recordings that could not be used",
                failed.head(_MOST_ROWS),
                {"recording_id": "Recording", "problem": "Problem"},
            ),
        ),
    }
    sections = [
        Section("found", "What was found", abstract=sentences, tables=["recordings"]),
        Section("scores", "Certainty", figures=list(figures)),
        Section("examples", "The most and the least certain events", sounds=sounds),
        *([Section("failed", "Failed", tables=["failed"])] if len(failed) else []),
        Section("card", "Run card", folded=["cost", "stages", "run_card"]),
    ]
    pieces = Pieces(
        texts={SUMMARY: Text("Summary", text_markdown(config.title, sentences, [most]))},
        tables={"recordings": Table(most.caption, most.records())},
        terminal_tables={"recordings": Table(most.caption, most.records()[:15])},
        sentences={"summary": tuple(sentences)},
    )
    write_report(
        context.out,
        Report(
            title=config.title,
            sections=sections,
            tables=tables,
            figures=figures,
            pieces=pieces,
            results=to_json_values({"recordings": summary.to_dict("records")}),
            run_card=run_card(
                context.inputs, {"detector": config.detector, "threshold": config.chosen}
            ),
            footer=_FOOTER,
        ),
    )
    return {"events": len(events), "recordings": len(scored), "failed": len(failed)}


def _sentences(scored: pd.DataFrame, failed: pd.DataFrame, config: FoundReport) -> list[str]:
    events = int(scored["detections"].sum())
    seconds, detected = float(scored["duration_s"].sum()), float(scored["detected_s"].sum())
    share = 100 * detected / seconds if seconds else 0.0
    with_events = int((scored["detections"] > 0).sum())
    sentences = [
        f"{config.detector} found {counted(events, 'event')} ({config.label}) in {with_events} of "
        f"{counted(len(scored), 'recording')}: {_length(detected)} of {_length(seconds)} "
        f"({share:.1f} %).",
        f"Threshold: {config.chosen}. What was found is not checked by anyone; review the least "
        "certain detections before counts are used.",
    ]
    if len(failed):
        sentences.append(
            f"{counted(len(failed), 'recording')} could not be used; see failed.csv for the reason "
            "of each."
        )
    return sentences


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _most(scored: pd.DataFrame) -> TableView:
    ordered = scored.sort_values(["detections", "recording_id"], ascending=[False, True])
    more = len(ordered) - _MOST_ROWS
    caption = "Recordings, most detections first"
    if more > 0:
        caption += f"; {more} more are in summary.csv"
    shown = ordered.head(_MOST_ROWS).astype({"detections": int})
    return frame_view(caption, shown.round({"duration_s": 1, "detected_s": 2}), _HEADERS)


def _examples(events: pd.DataFrame, config: FoundReport) -> pd.DataFrame:
    """Return the most certain events, then the least certain ones, as the gallery takes them."""
    distance = (events["score"] - config.threshold).abs()
    most = events.loc[distance.nlargest(config.examples).index].assign(outcome="most certain")
    rest = distance.drop(most.index)
    least = events.loc[rest.nsmallest(config.examples).index].assign(outcome="least certain")
    return pd.concat([most, least]).assign(detector=config.detector)


def _scores_figure(events: pd.DataFrame, config: FoundReport) -> ReportFigure:
    def draw() -> Figure:
        figure = new_figure(WIDTH_IN, 2.6)
        axes = figure.subplots()
        axes.hist(events["score"], bins=40, color=series_style(0).color)
        dotted_line(axes, config.threshold, vertical=True)
        axes.set_xlabel("Score (mean log odds of the event)")
        axes.set_ylabel("Events")
        return figure

    low, high = events["score"].min(), events["score"].max()
    return ReportFigure(
        "Scores of the events",
        "The dotted line is the threshold. Many events close to it mean that counts depend on it.",
        f"Histogram of the scores of {len(events)} events, from {low:.2f} to {high:.2f}.",
        draw,
    )


def _rates_figure(scored: pd.DataFrame, config: FoundReport) -> ReportFigure:
    rates = scored["detections_per_hour"].to_numpy(np.float64)

    def draw() -> Figure:
        figure = new_figure(WIDTH_IN, 2.6)
        axes = figure.subplots()
        axes.bar(np.arange(len(rates)), rates, width=1.0, color=series_style(0).color)
        axes.set_xlabel("Recordings in the order of their names")
        axes.set_ylabel("Detections an hour")
        axes.set_xlim(-0.5, len(rates) - 0.5)
        return figure

    return ReportFigure(
        "Detections an hour, by recording",
        f"Names that carry dates make this a course over time. {config.label.capitalize()}.",
        f"Bars of {len(rates)} recordings, from {rates.min():.1f} to {rates.max():.1f} an hour.",
        draw,
    )


if __name__ == "__main__":
    run_entry(run)
