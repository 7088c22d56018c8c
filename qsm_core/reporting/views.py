"""Tables as a reader sees them: headings, cells as text, and notes on what is missing.

The page, Prefect, LaTeX and Markdown take these views; the numbers are in `reporting.tables`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from qsm_core.evaluation.analysis import Analysis
from qsm_core.reporting.formatting import (
    MISSING,
    cell,
    count,
    decimal,
    decimal_of_row,
    p_value,
    percent,
    percent_of_row,
    percent_with_ends,
    points,
    points_of_row,
    points_with_ends,
    threshold,
)

Titles = Mapping[str, str]
MAX_CANDIDATES = 200


@dataclass(frozen=True)
class TableView:
    """A table ready to show. The first column names the row; cells are text."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    text_columns: frozenset[int] = frozenset({0})

    def records(self) -> list[dict[str, str]]:
        """Return the rows as flat dictionaries with equal keys."""
        return [dict(zip(self.headers, row, strict=True)) for row in self.rows]


def results_view(results: pd.DataFrame, analysis: Analysis, titles: Titles) -> TableView:
    """Return the results table: one row a system."""
    rows = [
        (
            str(row["title"]),
            *(percent_of_row(row, name) for name in ("ba_clip", "ba_conditions")),
            *(percent_of_row(row, name) for name in ("speech_acc", "nonspeech_acc")),
            decimal_of_row(row, "auroc"),
            decimal_of_row(row, "d_prime", 2),
            percent(row["unparseable_rate"], 2),
            points_of_row(row, "difference"),
        )
        for row in results.to_dict("records")
    ]
    confidence = percent(analysis.settings.bootstrap.confidence, 0)
    unit = analysis.settings.bootstrap.unit
    reference = results["reference"].iloc[0]
    against = titles.get(reference, "base") if isinstance(reference, str) else "base"
    return TableView(
        caption=f"Test results in per cent with {confidence} % intervals (cluster bootstrap by "
        f"{unit}); the difference is that to {against}",
        headers=(
            "System",
            "Balanced accuracy, clips",
            "Balanced accuracy, conditions",
            "Recall, speech",
            "Recall, non-speech",
            "AUROC",
            "d\N{PRIME}",
            "Unreadable answers",
            "Clips: difference to base",
        ),
        rows=tuple(rows),
        notes=tuple(_missing(analysis.systems, titles)),
    )


def thresholds_view(thresholds: pd.DataFrame, titles: Titles, measure: str) -> TableView:
    """Return the thresholds of one measure: one row a system, one column a threshold."""
    table = thresholds[thresholds["measure"] == measure]
    names = defined_thresholds(table)
    cells = table.set_index(["system", "threshold"])
    rows = [
        (
            titles[system],
            *(
                threshold(cells.loc[(system, name)].to_dict())
                if (system, name) in cells.index
                else MISSING
                for name in names
            ),
        )
        for system in dict.fromkeys(table["system"])
    ]
    return TableView(
        caption=f"Thresholds with 95 % intervals: where the fitted {measure} reaches the per cent "
        "that the name says. No number is given where the curve does not reach it",
        headers=("System", *(f"{name} ({unit_of(table, name)})" for name in names)),
        rows=tuple(rows),
    )


def defined_thresholds(thresholds: pd.DataFrame) -> list[str]:
    """Return the names of the thresholds that are above chance."""
    defined = thresholds[thresholds["outcome"] != "undefined"]
    return list(dict.fromkeys(defined["threshold"]))


def threshold_differences_view(differences: pd.DataFrame, titles: Titles) -> TableView:
    """Return the differences of thresholds: one row a pair and threshold."""
    rows = [
        (
            f"{titles[row['second']]} against {titles[row['first']]}",
            f"{row['threshold']} ({row['unit']})",
            decimal(row["value"], 1),
            _plain_ends(row["low"], row["high"], 1),
            decimal(row["ratio"], 2),
        )
        for row in differences.to_dict("records")
    ]
    return TableView(
        caption="Differences of thresholds that both systems reach (second minus first); a "
        "threshold that is lower is reached with less signal",
        headers=("Comparison", "Threshold", "Difference", "Interval", "Ratio"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def comparisons_view(comparisons: pd.DataFrame, margin: float) -> TableView:
    """Return the paired comparisons: one row a pair."""
    rows = [
        (
            str(row["title"]),
            points_of_row(row, "ba_clip"),
            points_of_row(row, "ba_conditions"),
            p_value(row["p_value"]),
            p_value(row["p_holm"]),
            p_value(row["p_obuchowski"]),
            points(row["minimum_detectable"]).removeprefix("+"),
            _text(row["verdict"]),
            decimal_of_row(row, "auroc", signed=True),
            decimal_of_row(row, "d_prime", 2, signed=True),
            count(row["only_second"]),
            count(row["only_first"]),
        )
        for row in comparisons.to_dict("records")
    ]
    return TableView(
        caption="Paired comparisons: balanced accuracies in percentage points with 95 % intervals; "
        f"verdict of the corrected test, where \N{LEFT DOUBLE QUOTATION MARK}not worse"
        f"\N{RIGHT DOUBLE QUOTATION MARK} means by more than {percent(margin, 0)} points",
        headers=(
            "Comparison",
            "Change, clips",
            "Change, conditions",
            "p (sign flip)",
            "p, Holm",
            "p (Obuchowski)",
            "Smallest detectable",
            "Verdict",
            "Change, AUROC",
            "Change, d\N{PRIME}",
            "Only the first is right",
            "Only the second is right",
        ),
        rows=tuple(rows),
        text_columns=frozenset({0, 7}),
    )


def conditions_view(conditions: pd.DataFrame, titles: Titles) -> TableView:
    """Return balanced accuracy by condition: one row a condition, one column a system."""
    cells = {(row["condition"], row["system"]): row for row in conditions.to_dict("records")}
    rows = []
    for key, found in conditions.groupby("condition", sort=False):
        told = [
            percent_of_row(cells[key, name], "ba") if (key, name) in cells else MISSING
            for name in titles
        ]
        rows.append((str(key), count(found["rows"].iloc[0]), *told))
    return TableView(
        caption="Balanced accuracy by condition in per cent with 95 % intervals",
        headers=("Condition", "Rows", *titles.values()),
        rows=tuple(rows),
    )


def condition_differences_view(table: pd.DataFrame, titles: Titles) -> TableView:
    """Return the differences in each condition: one row a condition, one column a pair."""
    pairs = list(dict.fromkeys(zip(table["first"], table["second"], strict=True)))
    cells = table.set_index(["condition", "first", "second"])
    rows = []
    for key in dict.fromkeys(table["condition"]):
        told = []
        for pair in pairs:
            row: Any = cells.loc[(key, *pair), :]
            mark = "*" if row["p_holm"] < 0.05 else ""
            told.append(points_with_ends(row["value"], row["low"], row["high"]) + mark)
        rows.append((str(key), *told))
    return TableView(
        caption="Differences of the balanced accuracy by condition in percentage points with 95 % "
        "intervals; * where p, corrected over the conditions of the pair, is below 0.05",
        headers=("Condition", *(f"{titles[b]} against {titles[a]}" for a, b in pairs)),
        rows=tuple(rows),
    )


def confusion_view(confusion: pd.DataFrame) -> TableView:
    """Return the confusion over all conditions: one row a system and class."""
    answers = ("SPEECH", "NONSPEECH", "unreadable")
    rows = []
    for (title, label), found in confusion.groupby(["title", "label"], sort=False):
        by_answer = found.set_index("answer")
        cells = [
            f"{count(cell(by_answer, answer, 'rows'))} "
            f"({percent(cell(by_answer, answer, 'share'))})"
            if answer in by_answer.index
            else MISSING
            for answer in answers
        ]
        rows.append((str(title), str(label), *cells))
    return TableView(
        caption="What each class was called, over all conditions: rows (per cent of the class)",
        headers=("System", "Class", "Called SPEECH", "Called NONSPEECH", "Unreadable"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def calibration_view(calibration: pd.DataFrame) -> TableView:
    """Return the calibration: one row a system and variant."""
    names = {"raw": "as given", "temperature": "after temperature scaling"}
    rows = [
        (
            str(row["title"]),
            names.get(str(row["variant"]), str(row["variant"])),
            *(decimal_of_row(row, name) for name in ("ece", "brier", "log_loss")),
            decimal(row["temperature"], 2),
        )
        for row in calibration.to_dict("records")
    ]
    return TableView(
        caption="How far the probabilities can be believed, with 95 % intervals; the temperature "
        "is fitted on dev",
        headers=("System", "Probabilities", "ECE", "Brier", "Log loss", "Temperature"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def operating_points_view(points_table: pd.DataFrame, titles: Titles) -> TableView:
    """Return the thresholds that were calibrated on dev."""
    rows = [
        (
            titles.get(row["system"], str(row["system"])),
            decimal(row["threshold"], 3),
            percent(row["dev_ba_clip"]),
            percent(row["dev_ba_clip_calibrated"]),
            _text(row["reason"]),
        )
        for row in points_table.to_dict("records")
    ]
    return TableView(
        caption="The same answers with a threshold calibrated on dev: the threshold of the score, "
        "and balanced accuracy over clips on dev in per cent before and after",
        headers=("System", "Threshold", "Dev, before", "Dev, after", "Why not"),
        rows=tuple(rows),
        text_columns=frozenset({0, 4}),
    )


def instructions_view(results: pd.DataFrame, instructions: Mapping[str, str | None]) -> TableView:
    """Return what each system was asked, with its test score."""
    rows = [
        (
            str(row["title"]),
            instructions.get(str(row["system"])) or MISSING,
            percent(row["ba_clip"]),
        )
        for row in results.to_dict("records")
    ]
    return TableView(
        caption="What each system was asked",
        headers=("System", "Instruction", "Balanced accuracy, clips (%)"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def gaps_view(gaps: pd.DataFrame, titles: Titles) -> TableView:
    """Return what instructions scored where they were chosen, and on test."""
    names = {"ba_clip": "balanced accuracy", "gain": "gain over the first instruction"}
    rows = [
        (
            titles.get(row["system"], str(row["system"])),
            names.get(str(row["what"]), str(row["what"])),
            percent(row["dev"]),
            percent(row["test"]),
            points_with_ends(row["value"], row["low"], row["high"]),
        )
        for row in gaps.to_dict("records")
    ]
    return TableView(
        caption="Dev, where instructions were chosen, against test: per cent, and test minus dev "
        "in percentage points with its interval",
        headers=("System", "What", "Dev", "Test", "Test minus dev"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def candidates_view(title: str, candidates: pd.DataFrame) -> TableView:
    """Return the trajectory of one search."""
    shown = candidates.head(MAX_CANDIDATES)
    rows = [
        (
            str(row["number"]),
            str(row["iteration"]),
            str(row["instruction"]),
            _text(row.get("origin")),
            decimal(float(row["score"])),
            decimal(float(row["best_so_far"])),
            decimal(float(row.get("score_on_dev", math.nan))),
        )
        for row in shown.to_dict("records")
    ]
    left = len(candidates) - len(shown)
    headers = ("No.", "Iteration", "Instruction", "Origin", "Score", "Best so far")
    return TableView(
        caption=f"{title}: every scored instruction in the order of scoring",
        headers=(*headers, "Score on all of dev"),
        rows=tuple(rows),
        notes=(f"{left} more are in the CSV file.",) if left else (),
        text_columns=frozenset({2, 3}),
    )


def seeds_view(summary: pd.DataFrame) -> TableView:
    """Return means and spreads over the seeds of a training: one row a family and metric."""
    rows = [
        (
            str(row["family"]),
            str(row["metric"]),
            count(row["seeds"]),
            percent_with_ends(row["mean"], row["low"], row["high"]),
            percent(row["spread"], 2),
            f"{percent(row['lowest'])} to {percent(row['highest'])}",
        )
        for row in summary.to_dict("records")
    ]
    return TableView(
        caption="Over the seeds of a training, in per cent: mean with the interval over clips, "
        "standard deviation over seeds, lowest to highest",
        headers=("System", "Metric", "Seeds", "Mean", "Spread", "Range"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def variance_view(variance: pd.DataFrame) -> TableView:
    """Return where the variance of a balanced accuracy comes from."""
    rows = [
        (
            str(row["family"]),
            str(row["source"]),
            percent(row["share"]),
            count(row["levels"]),
            _text(row["reason"]),
        )
        for row in variance.to_dict("records")
    ]
    return TableView(
        caption="What share of the variance of one run's balanced accuracy comes from which "
        "source, in per cent",
        headers=("System", "Source", "Share", "Levels", "Why not"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1, 4}),
    )


def frame_view(
    caption: str, table: pd.DataFrame, headers: Mapping[str, str], digits: int = 3
) -> TableView:
    """Return columns of a table under headings; numbers as they are, rounded."""
    rows = [tuple(_cell(row[name], digits) for name in headers) for row in table.to_dict("records")]
    text = frozenset(
        i for i, name in enumerate(headers) if not pd.api.types.is_numeric_dtype(table[name])
    )
    return TableView(caption, tuple(headers.values()), tuple(rows), text_columns=text)


def sizes_view(sizes: pd.DataFrame) -> TableView:
    """Return clips and groups of each split and class."""
    headers = {"split": "Split", "label": "Class", "clips": "Clips", "groups": "Groups"}
    return frame_view("Clips and groups by split", sizes, headers)


def record_view(caption: str, table: pd.DataFrame) -> TableView:
    """Return a table of name and value."""
    rows = tuple((str(row["name"]), _text(row["value"])) for row in table.to_dict("records"))
    return TableView(caption, ("Name", "Value"), rows, text_columns=frozenset({0, 1}))


def unit_of(thresholds: pd.DataFrame, name: str) -> str:
    """Return the unit of a threshold."""
    return str(thresholds.loc[thresholds["threshold"] == name, "unit"].iloc[0])


def _missing(systems: pd.DataFrame, titles: Titles) -> Iterable[str]:
    """Say why numbers or intervals of the results table are missing."""
    known = systems[systems["reason"].notna() & systems["metric"].isin(_SHOWN)]
    for row in known.to_dict("records"):
        yield f"{titles[row['system']]}, {row['metric']}: {row['reason']}"


_SHOWN: Sequence[str] = (
    "ba_clip",
    "ba_conditions",
    "speech_acc",
    "nonspeech_acc",
    "auroc",
    "d_prime",
)


def _plain_ends(low: float, high: float, digits: int) -> str:
    ends = (decimal(low, digits), decimal(high, digits))
    return MISSING if MISSING in ends else f"[{ends[0]}, {ends[1]}]"


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return decimal(value, digits) if value != int(value) else count(value)
    return count(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _text(value: Any) -> str:
    if value is None or value != value or value == "":
        return MISSING
    return str(value)
