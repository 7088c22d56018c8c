"""The abstract of the report: five sentences made from the numbers.

What was answered, which system comes first, what the paired differences show, what does not depend
on where a threshold stands, and where the curves cross their targets. No number stands without its
interval where it has one, and no sentence calls a number good or bad: "better" and "worse" are the
verdicts of the corrected tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from qsm_core.evaluation.analysis.tables import Analysis
from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.formatting import (
    count,
    decimal_of_row,
    p_value,
    percent,
    percent_of_row,
    percent_with_ends,
    points_of_row,
    threshold,
)
from qsm_core.reporting.page.table_view import Titles
from qsm_core.reporting.speech.sources import Sources
from qsm_core.reporting.speech.tables import reference_of, results_table, single_conditions
from qsm_core.reporting.speech.views.systems import defined_thresholds, unit_of

Row = Mapping[Hashable, Any]

_VERDICTS = ("better", "worse", "not worse", "undecided", "same answers")
_MEASURE = "balanced accuracy"


def abstracts(sources: Sources) -> list[list[str]]:
    """Return an abstract for each set of systems that answered the same clips."""
    return [
        abstract(_restricted(sources.analysis, members), sources.titles) for members in sources.sets
    ]


def abstract(analysis: Analysis, titles: Titles) -> list[str]:
    """Return the five sentences; without a defined balanced accuracy there are two."""
    results = results_table(analysis, titles)
    sentences = [_what_was_answered(analysis, results)]
    first = first_system(results)
    if first is None:
        return [*sentences, "No balanced accuracy is defined for these clips."]
    best = _row(results, first)
    return [
        *sentences,
        _comes_first(best, results),
        _differences(analysis, best, titles),
        _at_any_threshold(analysis, results, best),
        _where_it_fails(analysis, best),
    ]


def _restricted(analysis: Analysis, members: Sequence[str]) -> Analysis:
    """Return the analysis of some of the systems."""
    if tuple(members) == analysis.order:
        return analysis
    tables: dict[str, Any] = {}
    for name, table in analysis.tables().items():
        for column in ("system", "first", "second"):
            if column in table.columns:
                table = table[table[column].isin(members)]
        tables[name] = table
    return replace(analysis, **tables, order=tuple(members))


def first_system(results: pd.DataFrame) -> str | None:
    """Return the system with the highest balanced accuracy over clips."""
    known = results.dropna(subset=["ba_clip"])
    return (
        str(known["system"].iloc[int(known["ba_clip"].to_numpy().argmax())]) if len(known) else None
    )


def _what_was_answered(analysis: Analysis, results: pd.DataFrame) -> str:
    first = results.iloc[0]
    calibrated = sum(System.read(name).calibrated for name in analysis.order)
    systems = len(results) - calibrated
    conditions = single_conditions(analysis)["condition"].nunique()
    subject = "One system" if systems == 1 else f"{systems} systems"
    again = (
        f" ({calibrated} of them once more with a threshold calibrated on dev)"
        if calibrated
        else ""
    )
    rendered = f"in {conditions} conditions each" if conditions > 1 else "in one condition"
    return (
        f"{subject}{again} answered for the same {count(first['n_clips'])} test clips from "
        f"{count(first['n_groups'])} groups (speakers or source recordings) {rendered}, "
        f"{count(first['n_rows'])} answers a system."
    )


def _comes_first(best: Row, results: pd.DataFrame) -> str:
    equal = results[(results["ba_clip"] == best["ba_clip"]) & (results["system"] != best["system"])]
    shared = f", shared with {', '.join(equal['title'])}" if len(equal) else ""
    rank = f" (the highest of {len(results)}{shared})" if len(results) > 1 else ""
    return (
        f"{best['title']} has a balanced accuracy over clips of {percent_of_row(best, 'ba_clip')} "
        f"%{rank}, with a recall of speech of {percent_of_row(best, 'speech_acc')} % and of "
        f"non-speech of {percent_of_row(best, 'nonspeech_acc')} %."
    )


def _differences(analysis: Analysis, best: Row, titles: Titles) -> str:
    pairs = analysis.comparisons[analysis.comparisons["metric"] == "ba_clip"]
    if pairs.empty:
        return "There is no second system, so no difference is reported."
    confidence = percent(1 - analysis.settings.alpha, 0)
    summary = (
        f"{_verdicts(pairs)} (interval of {confidence} %, p corrected by Holm's method within a "
        f"family){_undecidable(pairs, analysis.settings.alpha)}"
    )
    reference = reference_of(analysis)
    if reference is None or best["difference"] != best["difference"]:
        return summary[:1].upper() + summary[1:] + "."
    p = float(best["p_holm"])
    tested = f"corrected p {_p(p)}" if p == p else "not tested: a class has one group only"
    return (
        f"Against {titles[reference]} that is a difference of "
        f"{points_of_row(best, 'difference')} points ({tested}); {summary}."
    )


def _verdicts(pairs: pd.DataFrame) -> str:
    """Return how often each verdict occurs."""
    counts = Counter(str(verdict) for verdict in pairs["verdict"].dropna())
    if not counts:
        return "no paired difference has a verdict"
    if len(pairs) == 1:
        return f"the verdict on the one paired difference is {_quoted(next(iter(counts)))}"
    listed = ", ".join(
        f"{_quoted(name)} {_times(counts[name])}" for name in _VERDICTS if counts[name]
    )
    return f"the verdicts on the {len(pairs)} paired differences are {listed}"


def _quoted(text: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _undecidable(pairs: pd.DataFrame, alpha: float) -> str:
    """Return how many comparisons have too few groups for any p below alpha."""
    undecided = pairs[(pairs["smallest_p_holm"] >= alpha) & (pairs["verdict"] != "same answers")]
    if undecided.empty:
        return ""
    which = "all" if len(undecided) == len(pairs) else str(len(undecided))
    least = p_value(float(undecided["smallest_p_holm"].min()))
    return (
        f", of which {which} cannot be decided by these clips: the systems differ in so few groups "
        f"that no corrected p can be below {least}"
    )


def _at_any_threshold(analysis: Analysis, results: pd.DataFrame, best: Row) -> str:
    """Return whether hearing or the threshold differs: AUROC, d', and the calibrated reference."""
    if best["auroc"] != best["auroc"]:
        return (
            f"{best['title']} gives no score with its answers, so its AUROC is not defined and it "
            f"cannot be told apart from another threshold; its d\N{PRIME} is "
            f"{decimal_of_row(best, 'd_prime', 2)}."
        )
    sentence = (
        f"At any threshold: the AUROC of {best['title']} is {decimal_of_row(best, 'auroc')} and "
        f"its d\N{PRIME} {decimal_of_row(best, 'd_prime', 2)}"
    )
    reference = reference_of(analysis)
    if reference is None or reference == best["system"]:
        return sentence + "."
    other = _row(results, reference)
    sentence += f", those of {other['title']} {decimal_of_row(other, 'auroc')} and "
    sentence += decimal_of_row(other, "d_prime", 2)
    calibrated = System.read(reference).at_dev_threshold.name
    if calibrated in set(results["system"]) and calibrated != reference:
        again = _row(results, calibrated)
        sentence += (
            f", which reaches {percent_of_row(again, 'ba_clip')} % with its threshold calibrated "
            "on dev"
        )
    return sentence + "."


def _where_it_fails(analysis: Analysis, best: Row) -> str:
    system = best["system"]
    table = analysis.thresholds
    table = table[(table["system"] == system) & (table["measure"] == _MEASURE)]
    crossings = [
        f"{name} {threshold(row, unit_of(table, name))}"
        for name in defined_thresholds(table)
        if "75" in name
        for row in table[table["threshold"] == name].to_dict("records")
    ]
    rows = single_conditions(analysis)
    rows = rows[(rows["system"] == system) & (rows["metric"] == "ba")].dropna(subset=["value"])
    crossed = f"Where the fitted curves of {best['title']} reach 75 %: {', '.join(crossings)}; "
    start = crossed if crossings else ""
    if len(rows) < 2:
        return (start or "With one condition there is no curve to be fitted; ").rstrip("; ") + "."
    lowest = rows.loc[rows["value"].idxmin()]
    value = percent_with_ends(lowest["value"], lowest["low"], lowest["high"])
    rest = (
        f"of its {len(rows)} conditions {lowest['condition']} has the lowest balanced accuracy, "
        f"{value} % (chance: 50 %)."
    )
    return start + (rest if start else rest[:1].upper() + rest[1:])


def _row(results: pd.DataFrame, system: str) -> Row:
    return results[results["system"] == system].iloc[0].to_dict()


def _p(value: float) -> str:
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"
