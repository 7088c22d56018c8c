"""Views of conditions and classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from qsm_core.evaluation.analysis.replicates import TOO_NARROW
from qsm_core.evaluation.analysis.tables import Analysis
from qsm_core.reporting.page.formatting import (
    MISSING,
    cell,
    count,
    percent,
    percent_of_row,
    points_with_ends,
)
from qsm_core.reporting.page.table_view import TableView, Titles
from qsm_core.reporting.speech.views.narrow_intervals import too_narrow

_NARROW = "\N{DAGGER}"
_NARROW_NOTE = f"{_NARROW} The interval {TOO_NARROW}."


def conditions_view(conditions: pd.DataFrame, analysis: Analysis, titles: Titles) -> TableView:
    """Return balanced accuracy by condition: one row a condition, one column a system."""
    cells = {(row["condition"], row["system"]): row for row in conditions.to_dict("records")}
    noted = analysis.conditions[analysis.conditions["metric"] == "ba"]
    without = _without_interval(noted["reason"])
    noted = noted[too_narrow(noted["note"])]
    narrow = set(zip(noted["condition"], noted["system"], strict=True))
    rows = []
    for key, in_condition in conditions.groupby("condition", sort=False):
        cells_of_row = [
            percent_of_row(cells[key, name], "ba") + (_NARROW if (key, name) in narrow else "")
            if (key, name) in cells
            else MISSING
            for name in titles
        ]
        rows.append((str(key), count(in_condition["rows"].iloc[0]), *cells_of_row))
    return TableView(
        caption="Balanced accuracy by condition in per cent with 95 % intervals",
        headers=("Condition", "Rows", *titles.values()),
        rows=tuple(rows),
        notes=(*((_NARROW_NOTE,) if narrow else ()), *without),
    )


def condition_differences_view(table: pd.DataFrame, titles: Titles) -> TableView:
    """Return the differences in each condition: one row a condition, one column a pair."""
    pairs = list(dict.fromkeys(zip(table["first"], table["second"], strict=True)))
    cells = table.set_index(["condition", "first", "second"])
    rows = []
    for key in dict.fromkeys(table["condition"]):
        cells_of_row = []
        for pair in pairs:
            row: Any = cells.loc[(key, *pair), :]
            mark = "*" if row["p_holm"] < 0.05 else ""
            mark += _NARROW if TOO_NARROW in str(row["note"]) else ""
            cells_of_row.append(points_with_ends(row["value"], row["low"], row["high"]) + mark)
        rows.append((str(key), *cells_of_row))
    return TableView(
        caption="Differences of the balanced accuracy by condition in percentage points with 95 % "
        "intervals; * where p, corrected over the conditions of the pair, is below 0.05",
        headers=("Condition", *(f"{titles[b]} against {titles[a]}" for a, b in pairs)),
        rows=tuple(rows),
        notes=(
            *((_NARROW_NOTE,) if too_narrow(table["note"]).any() else ()),
            *_without_interval(table["reason"]),
        ),
    )


def _without_interval(reasons: pd.Series) -> Iterable[str]:
    """Yield why intervals are missing, each reason once."""
    same = "every resample gives"
    shown = [
        f"{same} the same value" if str(reason).startswith(same) else str(reason)
        for reason in reasons.dropna()
    ]
    if shown:
        yield f"Where there is no interval: {'; '.join(dict.fromkeys(shown))}."


def confusion_view(confusion: pd.DataFrame) -> TableView:
    """Return the confusion over all conditions: one row a system and class."""
    answers = ("SPEECH", "NONSPEECH", "unreadable")
    rows = []
    for (title, label), rows_of_class in confusion.groupby(["title", "label"], sort=False):
        by_answer = rows_of_class.set_index("answer")
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
