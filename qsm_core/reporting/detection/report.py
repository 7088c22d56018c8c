"""The stage "report_detection": one page on a benchmark of detectors.

    python -m qsm_core.reporting.detection.report --spec spec.json

Inputs: `benchmark` (the tables, see `detection.benchmark.evaluate`), `recordings` (the prepared
set) and trained detectors, for their curves. `reporting.page.report` describes the files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from qsm_core.json_values import to_json_values
from qsm_core.reporting.detection.config import DetectionReport
from qsm_core.reporting.detection.figures import detection_figures
from qsm_core.reporting.detection.gallery import gallery
from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.formatting import percent, percent_with_ends, points_with_ends
from qsm_core.reporting.page.markdown import text_markdown
from qsm_core.reporting.page.pieces import SUMMARY, Pieces, Table, Text
from qsm_core.reporting.page.report import Report, write_report
from qsm_core.reporting.page.run_card import run_card
from qsm_core.reporting.page.sections import Section
from qsm_core.reporting.page.table_view import TableView, frame_view
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

_TABLES = (
    "settings",
    "notes",
    "fixed_variants",
    "own_test",
    "results",
    "differences",
    "further",
    "sweep",
    "sweep_by_recording",
    "by_recording",
    "by_quality",
    "boundary_errors",
    "reliability",
    "examples",
)
_RATES = {"f1": "F1", "precision": "Precision", "recall": "Recall"}
_FOOTER = (
    "Made by qsm from stored score tracks. Every number here can be computed again from them "
    "without a model or a GPU."
)


def run(context: StageContext) -> dict[str, Any]:
    """Write the report and return F1 of each detector."""
    config = parse_config(DetectionReport, context.config)
    folder = context.inputs["benchmark"]
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in _TABLES}
    # A second stage that could not be fitted has no row.
    measured = set(tables["results"]["detector"])
    titles = {name: title for name, title in config.titles.items() if name in measured}
    config = replace(config, titles=titles)
    context.report(0, 2, "hearing examples")
    sounds = gallery(
        tables["examples"],
        context.inputs["recordings"],
        config.titles,
        context.runtime.get("audio"),
    )
    context.report(1, 2, "drawing")
    curves = {
        config.titles.get(name.removeprefix("train_"), name): pd.read_csv(
            context.inputs[name] / "curves.csv"
        )
        for name in config.trainings
    }
    figures = detection_figures(tables, config.titles, curves)
    shown = {
        name: _report_table(name, table, config)
        for name, table in tables.items()
        if len(table) or name not in ("fixed_variants", "notes")
    }
    results = _results_view(tables["results"], tables["settings"], config)
    shown["results"] = ReportTable(tables["results"], results)
    sentences = _sentences(tables, config)
    terminal = TableView(results.caption, results.headers[:4], tuple(r[:4] for r in results.rows))
    pieces = Pieces(
        texts={SUMMARY: Text("Summary", text_markdown(config.title, sentences, [results]))},
        tables={"results": Table(results.caption, results.records())},
        terminal_tables={"results": Table(terminal.caption, terminal.records())},
        sentences={"summary": tuple(sentences)},
    )
    card = run_card(context.inputs, {"iou": config.iou, "label": config.label})
    sections = [
        Section(
            "results",
            "Results",
            abstract=sentences,
            tables=[
                *("results", "differences"),
                *(name for name in ("fixed_variants", "own_test", "notes") if len(tables[name])),
            ],
            figures=["threshold_sweep", "precision_recall"],
        ),
        Section(
            "recordings",
            "Recordings",
            figures=["recall_by_tape", "counts"],
            tables=["by_recording"],
            folded=["by_quality"],
        ),
        Section(
            "events",
            "Begins, ends and probabilities",
            figures=[one for one in ("boundary_errors", "reliability") if one in figures],
            tables=["further"],
        ),
        Section(
            "settings",
            "Training and settings",
            figures=[one for one in ("learning_curves",) if one in figures],
            tables=["settings"],
        ),
        Section("examples", "Hits, misses and false alarms", sounds=sounds),
        Section("card", "Run card", folded=["cost", "stages", "run_card"]),
    ]
    f1 = tables["results"].query("metric == 'f1'").set_index("detector")["value"].to_dict()
    write_report(
        context.out,
        Report(
            title=config.title,
            sections=sections,
            tables=shown,
            figures=figures,
            pieces=pieces,
            results=to_json_values(
                {
                    "results": tables["results"].to_dict("records"),
                    "settings": tables["settings"].to_dict("records"),
                }
            ),
            run_card=card,
            footer=_FOOTER,
        ),
    )
    for name in ("metrics.csv", "metrics_per_tape.csv"):
        (context.out / name).write_bytes((folder / name).read_bytes())
    return {"f1": f1}


def _results_view(
    results: pd.DataFrame, settings: pd.DataFrame, config: DetectionReport
) -> TableView:
    by = {(row["detector"], row["metric"]): row for row in results.to_dict("records")}
    dev = settings.set_index("detector")["dev_f1"]
    rows = tuple(
        (
            title,
            *(
                percent_with_ends(*(by[name, metric][key] for key in ("value", "low", "high")))
                for metric in _RATES
            ),
            percent(dev[name]),
        )
        for name, title in config.titles.items()
    )
    groups = int(results["groups"].iloc[0])
    notes = (
        f"95 % intervals from a bootstrap over {groups} groups of test.",
        *sorted({str(one) for one in results["reason"].dropna()}),
    )
    caption = f"Detectors on unseen groups, hits by IoU > {config.iou:g}"
    return TableView(caption, ("Detector", *_RATES.values(), "F1 on dev"), rows, notes)


def _report_table(name: str, table: pd.DataFrame, config: DetectionReport) -> ReportTable:
    captions: Mapping[str, tuple[str, Mapping[str, str]]] = {
        "differences": (
            "Paired differences, second minus first",
            {
                "first": "First",
                "second": "Second",
                "metric": "Rate",
                "difference": "Difference",
                "low": "Low",
                "high": "High",
                "p_holm": "p (Holm)",
            },
        ),
        "settings": (
            "Chosen on dev",
            {
                "detector": "Detector",
                "threshold_probability": "Threshold",
                "low_threshold": "Low (log odds)",
                "min_duration_s": "Shortest (s)",
                "max_gap_s": "Closed gap (s)",
                "keep_probability": "Kept by the second stage from",
                "dev_f1": "F1 on dev",
            },
        ),
        "further": (
            "Further measures on test",
            {
                "detector": "Detector",
                "n_truth": "Annotations",
                "n_found": "Detections",
                "f1_iou0.5": "F1, IoU > 0.5",
                "f1_collar": "F1, collar 200 ms",
                "f1_segments": "F1, segments of 1 s",
                "average_precision": "AP",
                "psds": "PSDS",
                "detections_per_hour": "Detections an hour",
                "onset_error_ms": "Begin (ms)",
                "offset_error_ms": "End (ms)",
                "pearson_counts": "r of counts",
            },
        ),
        "by_recording": (
            "Recordings of test, hardest last",
            {
                "detector": "Detector",
                "recording_id": "Recording",
                "n_truth": "Annotations",
                "n_found": "Detections",
                "precision": "Precision",
                "recall": "Recall",
                "f1": "F1",
            },
        ),
        "fixed_variants": (
            "At windows, hops and thresholds of benchmark_variants.json, on test",
            {
                "detector": "Detector",
                "variant": "Variant",
                "n_found": "Detections",
                "precision": "Precision",
                "recall": "Recall",
                "f1": "F1",
            },
        ),
        "notes": ("Notes", {"detector": "On", "note": "Note"}),
        "own_test": (
            "Clips of its own test split against clips of unseen groups",
            {
                "detector": "Detector",
                "own_f1": "F1, own test split",
                "unseen_f1": "F1, unseen groups",
                "own_clips": "Clips",
                "unseen_clips": "Clips, unseen",
            },
        ),
        "by_quality": (
            "Recall by quality of the annotation",
            {
                "detector": "Detector",
                "quality": "Quality",
                "n_truth": "Annotations",
                "recall": "Recall",
            },
        ),
    }
    if name not in captions:
        return ReportTable(table)
    caption, headers = captions[name]
    shown = (
        table.sort_values(["detector", "f1"], ascending=[True, False])
        if (name == "by_recording")
        else table
    )
    shown = shown.replace(
        {one: config.titles for one in ("detector", "first", "second") if one in shown}
    )
    kept = {column: header for column, header in headers.items() if column in shown}
    return ReportTable(table, frame_view(caption, shown, kept))


def _sentences(tables: Mapping[str, pd.DataFrame], config: DetectionReport) -> list[str]:
    settings = tables["settings"].set_index("detector")
    best = str(settings["dev_f1"].idxmax())
    (f1,) = tables["results"].query("metric == 'f1' and detector == @best").to_dict("records")
    further = tables["further"].set_index("detector").loc[best]
    sentences = [
        f"{config.titles[best]} is best on dev. On unseen groups its F1 is "
        f"{percent_with_ends(f1['value'], f1['low'], f1['high'])} "
        f"({further['tp']:.0f} of {further['n_truth']:.0f} annotations found, "
        f"{further['fp']:.0f} false alarms).",
    ]
    differences = tables["differences"].query("metric == 'f1'")
    sentences += [
        f"{config.titles[row['second']]} against {config.titles[row['first']]}: "
        f"{points_with_ends(row['difference'], row['low'], row['high'])} F1."
        for row in differences.to_dict("records")
    ]
    sentences += [
        f"{config.titles[row['detector']]} was trained on clips of groups that are also in its own "
        f"test split: there its F1 over clips is {percent(row['own_f1'])}, on unseen groups "
        f"{percent(row['unseen_f1'])}."
        for row in tables["own_test"].to_dict("records")
    ]
    tapes = tables["by_recording"].query("detector == @best").dropna(subset="f1").sort_values("f1")
    if len(tapes) > 1:
        sentences.append(_hardest(tapes))
    return sentences


def _hardest(tapes: pd.DataFrame) -> str:
    """Return which recordings are hardest and easiest; `tapes` is sorted by F1."""
    worst, best = tapes.iloc[0], tapes.iloc[-1]
    if percent(worst["f1"]) == percent(best["f1"]):
        return f"Its F1 is {percent(best['f1'])} in each of the {len(tapes)} recordings of test."
    return (
        f"Hardest recording: {worst['recording_id']} ({percent(worst['f1'])}); "
        f"easiest: {best['recording_id']} ({percent(best['f1'])})."
    )


if __name__ == "__main__":
    run_entry(run)
