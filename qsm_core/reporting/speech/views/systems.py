"""Views of whole systems: results, comparisons, thresholds, calibration."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from qsm_core.evaluation.analysis.replicates import TOO_NARROW
from qsm_core.evaluation.analysis.tables import Analysis
from qsm_core.reporting.page.formatting import (
    MISSING,
    count,
    decimal,
    decimal_of_row,
    p_value,
    percent,
    percent_of_row,
    points,
    points_of_row,
    threshold,
)
from qsm_core.reporting.page.table_view import TableView, Titles, text_of
from qsm_core.reporting.speech.views.narrow_intervals import too_narrow
from qsm_core.statistics.power import Verdict


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
    references = [titles[name] for name in dict.fromkeys(results["reference"]) if name in titles]
    against = f"; the difference is that to {' or '.join(references)}" if references else ""
    against += " on the same clips" if len(references) > 1 else ""
    return TableView(
        caption=f"Test results in per cent with {confidence} % intervals (cluster bootstrap by "
        f"{unit}){against}",
        headers=(
            "System",
            "Balanced accuracy, clips",
            "Balanced accuracy, conditions",
            "Recall, speech",
            "Recall, non-speech",
            "AUROC",
            "d\N{PRIME}",
            "Unreadable answers",
            "Clips: difference",
        ),
        rows=tuple(rows),
        notes=(*_missing(analysis.systems, titles), *_narrow(analysis.systems, titles)),
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


def comparisons_view(comparisons: pd.DataFrame, analysis: Analysis) -> TableView:
    """Return the paired comparisons: one row a pair."""
    rows = [
        (
            str(row["title"]),
            points_of_row(row, "ba_clip"),
            points_of_row(row, "ba_conditions"),
            decimal_of_row(row, "auroc", signed=True),
            p_value(row["p_value"]),
            p_value(row["p_holm"]),
            p_value(row["smallest_p_holm"]),
            points(row["minimum_detectable"]).removeprefix("+"),
            text_of(row["verdict"]),
        )
        for row in comparisons.to_dict("records")
    ]
    return TableView(
        caption="Paired comparisons: balanced accuracies in percentage points with 95 % intervals; "
        f"verdict of the corrected test, where \N{LEFT DOUBLE QUOTATION MARK}not worse"
        "\N{RIGHT DOUBLE QUOTATION MARK} means by more than "
        f"{percent(analysis.settings.margin, 0)} points",
        headers=(
            "Comparison",
            "Change, clips",
            "Change, conditions",
            "Change, AUROC",
            "p (sign flip)",
            "p, Holm",
            "Smallest possible",
            "Smallest detectable",
            "Verdict",
        ),
        rows=tuple(rows),
        notes=(
            *undecidable(comparisons, analysis.settings.alpha),
            *from_few_groups(comparisons, analysis.settings.alpha),
            *_narrow_differences(analysis.comparisons, comparisons),
        ),
        text_columns=frozenset({0, 8}),
    )


def more_comparisons_view(comparisons: pd.DataFrame) -> TableView:
    """Return further results of each pair: the other tests, and the rows that changed."""
    rows = [
        (
            str(row["title"]),
            str(row["family"]),
            p_value(row["p_bh"]),
            p_value(row["p_obuchowski"]),
            p_value(row["p_mcnemar"]),
            decimal_of_row(row, "d_prime", 2, signed=True),
            count(row["only_second"]),
            count(row["only_first"]),
            count(row["groups_differ"]),
        )
        for row in comparisons.to_dict("records")
    ]
    return TableView(
        caption="More of the paired comparisons: other corrections and tests, and rows that only "
        "the system named first in the comparison has right (gained) or only the other (lost)",
        headers=(
            "Comparison",
            "Family of tests",
            "p, Benjamini-Hochberg",
            "p (Obuchowski)",
            "p (McNemar)",
            "Change, d\N{PRIME}",
            "Rows gained",
            "Rows lost",
            "Groups that differ",
        ),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def undecidable(comparisons: pd.DataFrame, alpha: float) -> Iterable[str]:
    """Yield which comparisons could not be decided by any answers, and why."""
    for row in comparisons.to_dict("records"):
        if not row["smallest_p_holm"] >= alpha or row["verdict"] == Verdict.SAME:
            continue
        groups = "one group" if row["groups_differ"] == 1 else f"{row['groups_differ']:.0f} groups"
        least, corrected = (p_value(row[name]) for name in ("smallest_p", "smallest_p_holm"))
        after = "" if least == corrected else f", or {corrected} after the correction"
        yield (
            f"{row['title']}: the two differ in {groups} only, so p cannot be below {least}"
            f"{after}. This test cannot decide between them, whatever their difference is; test "
            "clips from more groups can, or fewer comparisons in one family."
        )


def from_few_groups(comparisons: pd.DataFrame, alpha: float) -> Iterable[str]:
    """Explain intervals that leave out zero beside a corrected p that is not below alpha."""
    tests = comparisons["family"].where(comparisons["p_value"].notna()).value_counts()
    titles_by_text: dict[str, list[str]] = {}
    for row in comparisons.to_dict("records"):
        leaves_out_zero = row["ba_clip_low"] > 0 or row["ba_clip_high"] < 0
        if not (leaves_out_zero and row["p_holm"] >= alpha and row["carrying_groups"] > 0):
            continue
        least = 2.0 ** (1 - row["carrying_groups"])
        text = (
            f"the interval leaves out zero, but the corrected p is "
            f"{p_value(row['p_holm'])}. Most of the difference comes from "
            f"{row['carrying_groups']:.0f} groups of {row['carried_by']}; with these alone p is at "
            f"best {p_value(least)}, and {p_value(min(1.0, least * tests[row['family']]))} as the "
            f"smallest of {tests[row['family']]} in its family. Clips from more such groups, or "
            "fewer comparisons in the family, can decide it."
        )
        titles_by_text.setdefault(text, []).append(str(row["title"]))
    for text, titles in titles_by_text.items():
        yield f"{'; '.join(titles)}: {text}"


def calibration_view(calibration: pd.DataFrame) -> TableView:
    """Return the calibration: one row a system and variant."""
    names = {"raw": "as given", "temperature": "after temperature scaling"}
    rows = [
        (
            str(row["title"]),
            names.get(str(row["variant"]), str(row["variant"])),
            *(decimal_of_row(row, name) for name in ("ece", "brier", "log_loss")),
            *(decimal_of_row(row, f"confidence_{of}", 2) for of in ("right", "wrong", "gap")),
            decimal(row["temperature"], 2),
        )
        for row in calibration.to_dict("records")
    ]
    return TableView(
        caption="How far the probabilities can be believed, with 95 % intervals; the temperature "
        "is fitted on dev. The confidence of an answer is the probability of its class",
        headers=(
            "System",
            "Probabilities",
            "ECE",
            "Brier",
            "Log loss",
            "Confidence, right answers",
            "Confidence, wrong answers",
            "Gap",
            "Temperature",
        ),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def unit_of(thresholds: pd.DataFrame, name: str) -> str:
    """Return the unit of a threshold."""
    return str(thresholds.loc[thresholds["threshold"] == name, "unit"].iloc[0])


def _missing(systems: pd.DataFrame, titles: Titles) -> Iterable[str]:
    """Say why numbers or intervals of the results table are missing, each reason once."""
    known = systems[systems["reason"].notna() & systems["metric"].isin(_SHOWN)]
    for reason, rows in known.groupby("reason", sort=False):
        which = ", ".join(titles[name] for name in dict.fromkeys(rows["system"]))
        what = ", ".join(_SHOWN[metric] for metric in dict.fromkeys(rows["metric"]))
        yield f"{which} ({what}): {reason}"


def _narrow(systems: pd.DataFrame, titles: Titles) -> Iterable[str]:
    """Name the intervals of the results table that are too narrow."""
    rows = systems[too_narrow(systems["note"]) & systems["metric"].isin(_SHOWN)]
    for name, narrow in rows.groupby("system", sort=False):
        what = ", ".join(_SHOWN[metric] for metric in narrow["metric"])
        yield f"{titles[str(name)]} ({what}): the interval {TOO_NARROW}"


def _narrow_differences(differences: pd.DataFrame, shown: pd.DataFrame) -> Iterable[str]:
    """Name the intervals of the comparisons that are too narrow, by the titles that are shown."""
    titles = dict(
        zip(zip(shown["first"], shown["second"], strict=True), shown["title"], strict=True)
    )
    rows = differences[too_narrow(differences["note"])]
    rows = rows[rows["metric"].isin(("ba_clip", "ba_conditions", "auroc"))]
    for (first, second), narrow in rows.groupby(["first", "second"], sort=False):
        what = ", ".join(_SHOWN[metric] for metric in dict.fromkeys(narrow["metric"]))
        yield f"{titles[first, second]} ({what}): the interval {TOO_NARROW}"


_SHOWN = {
    "ba_clip": "balanced accuracy over clips",
    "ba_conditions": "over conditions",
    "speech_acc": "recall of speech",
    "nonspeech_acc": "recall of non-speech",
    "auroc": "AUROC",
    "d_prime": "d\N{PRIME}",
}


def _plain_ends(low: float, high: float, digits: int) -> str:
    ends = (decimal(low, digits), decimal(high, digits))
    return MISSING if MISSING in ends else f"[{ends[0]}, {ends[1]}]"
