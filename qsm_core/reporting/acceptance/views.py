"""The tables of an acceptance as a reader sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from qsm_core.reporting.page.formatting import (
    MISSING,
    decimal,
    decimal_of_row,
    p_value,
    percent,
    percent_of_row,
    seconds,
)
from qsm_core.reporting.page.table_view import TableView, text_of

Row = Mapping[str, Any]
_SHARES = ("valid_baseline", "valid_student")


def gates_view(gates: pd.DataFrame, alpha: float) -> TableView:
    """Return the gates: value, threshold, interval, both decisions, cases that would decide."""
    rows = []
    for gate in _rows(gates):
        is_share = gate["name"] in _SHARES
        show = percent if is_share else decimal
        unit = " %" if is_share else ""
        ends = [show(gate["interval_low"]), show(gate["interval_high"])]
        interval = MISSING if MISSING in ends else f"{ends[0]} to {ends[1]}"
        rows.append(
            (
                str(gate["title"]),
                show(gate["value"]) + unit,
                show(gate["threshold"]) + unit,
                interval,
                str(gate["point"]),
                str(gate["bounds"]),
                _count(gate["cases_needed"]),
            )
        )
    level = f"{100 * (1 - 2 * alpha):g}"
    return TableView(
        "Gates",
        (
            "Gate",
            "Value",
            "Needed",
            f"{level} % interval",
            "By points",
            "By bounds",
            "Cases needed",
        ),
        tuple(rows),
        notes=(
            "By points: the value reaches the threshold, however few the cases. By bounds: the "
            "whole interval lies on one side of it.",
            "Cases needed: about how many would decide the gate, if the truth is as these look.",
        ),
        text_columns=frozenset({0, 4, 5}),
    )


def slices_view(slices: pd.DataFrame) -> TableView:
    """Return the comparison within each slice."""
    rows = [
        (
            f"{row['column']}: {row['value']}",
            str(row["num_cases"]),
            f"{row['baseline_valid']}",
            f"{row['student_valid']}",
            decimal(row["baseline"]),
            decimal(row["student"]),
            decimal(row["ratio"]),
            decimal_of_row(row, "difference", signed=True),
            p_value(row["corrected_p_value"]),
            p_value(row["mcnemar_p_value"]),
        )
        for row in _rows(slices)
    ]
    return TableView(
        "By tier and other columns of the cases",
        (
            "Cases",
            "Number",
            "Valid, baseline",
            "Valid, student",
            "Baseline",
            "Student",
            "Ratio",
            "Difference",
            "p, signs (Holm)",
            "p, validity",
        ),
        tuple(rows),
        notes=("Slices are small: what they show is a hint. Failures count as 0.",),
    )


def levels_view(levels: pd.DataFrame) -> TableView:
    """Return how far the answers of each arm get."""
    rows = [
        (
            f"{row['arm']}: {row['level']}",
            f"{row['at_first']} of {row['num_cases']}",
            f"{row['in_the_end']} of {row['num_cases']}",
            percent_of_row(
                {**row, "share": row["in_the_end"] / row["num_cases"]}
                | {f"share_{end}": row[f"interval_{end}"] for end in ("low", "high")},
                "share",
            ),
        )
        for row in _rows(levels)
    ]
    return TableView(
        "How far the answers get",
        ("Level", "At the first attempt", "After all", "% after all, 95 %"),
        tuple(rows),
    )


def readings_view(readings: pd.DataFrame) -> TableView:
    """Return the comparison of the means under each way of counting failures."""
    rows = [
        (
            str(row["title"]),
            str(row["num_cases"]),
            decimal(row["baseline"]),
            decimal(row["student"]),
            decimal_of_row(row, "difference", signed=True),
            p_value(row["sign_flip_p_value"]),
            decimal(row["ratio"]),
            _ends(row, "fieller_90"),
            _ends(row, "bootstrap_95"),
            p_value(row["ratio_p_value"]),
        )
        for row in _rows(readings)
    ]
    margin = f"{readings['margin'].iloc[0]:g}" if len(readings) else ""
    return TableView(
        "Means under three ways of counting",
        (
            "Failures",
            "Cases",
            "Baseline",
            "Student",
            "Difference, 95 %",
            "p, signs",
            "Ratio",
            "Fieller, 90 %",
            "Bootstrap, 95 %",
            f"p, ratio above {margin}",
        ),
        tuple(rows),
        notes=("The gates count failures as 0; the others are shown beside it.",),
    )


def arms_view(arms: pd.DataFrame) -> TableView:
    """Return what each arm cost."""
    rows = [
        (
            str(row["name"]),
            str(row["num_cases"]),
            str(row["attempts"]),
            _count(row["completion_tokens"]),
            seconds(_float(row["seconds"])),
            seconds(_float(row["seconds"]) / row["num_cases"]),
        )
        for row in _rows(arms)
    ]
    headers = ("Arm", "Cases", "Attempts", "Tokens", "Time of answers", "A case")
    return TableView("What the answers cost", headers, tuple(rows))


def runs_view(runs: pd.DataFrame) -> TableView:
    """Return all runs over time, each against the baseline."""
    rows = [
        (
            str(row["name"]),
            text_of(row["timestamp"]),
            text_of(row["model"]),
            text_of(row["adapter"]),
            f"{row['valid']} of {row['num_cases']}",
            decimal(row["mean"]),
            decimal(row["mean_of_valid"]),
            decimal(row["ratio"]) + _in_brackets(row, "ratio"),
            text_of(row["by_points"]),
            text_of(row["by_bounds"]),
        )
        for row in _rows(runs)
    ]
    return TableView(
        "Runs over time, against the first that was given",
        (
            "Run",
            "When",
            "Model",
            "Adapter",
            "Valid",
            "Mean",
            "Of the valid",
            "Ratio",
            "By points",
            "By bounds",
        ),
        tuple(rows),
        notes=("Verdicts of a long history are not corrected: keep cases for the last decision.",),
        text_columns=frozenset({0, 1, 2, 3, 8, 9}),
    )


def pivot_view(caption: str, table: pd.DataFrame, by: str, value: str, first: str) -> TableView:
    """Return one row a name in column `by`, one column an arm."""
    arms = list(dict.fromkeys(table["arm"]))
    cells = {(row["arm"], row[by]): row[value] for row in _rows(table)}
    rows = [
        (str(name), *(_value(cells.get((arm, name))) for arm in arms))
        for name in dict.fromkeys(table[by])
    ]
    return TableView(caption, (first, *arms), tuple(rows))


def _rows(table: pd.DataFrame) -> Iterable[dict[Any, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _count(value: float | None) -> str:
    return MISSING if value is None or value != value else f"{value:,.0f}"


def _value(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:,}" if isinstance(value, int) else decimal(value)


def _ends(row: Row, name: str) -> str:
    low, high = (decimal(row[f"{name}_{end}"]) for end in ("low", "high"))
    return MISSING if MISSING in (low, high) else f"{low} to {high}"


def _in_brackets(row: Row, name: str) -> str:
    if f"{name}_low" not in row:
        return ""
    text = _ends(row, name)
    return "" if text == MISSING else f" [{text.replace(' to ', ', ')}]"
