"""Alternative texts: what the figures show, in words and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from qsm_core.reporting.page.formatting import (
    decimal,
    percent,
    percent_with_ends,
    points,
    threshold,
)
from qsm_core.reporting.page.table_view import Titles
from qsm_core.reporting.speech.views.systems import unit_of


def systems_in_words(systems: pd.DataFrame, titles: Titles) -> str:
    """Return the balanced accuracy of every system, from the table `systems` of an analysis."""
    rows = systems[systems["metric"] == "ba_clip"]
    return "Balanced accuracy over clips by system: " + _joined(
        f"{titles[row['system']]} {percent_with_ends(row['value'], row['low'], row['high'])} %"
        for row in rows.to_dict("records")
    )


def differences_in_words(pairs: pd.DataFrame, titles: Titles) -> str:
    """Return the difference of every pair, from rows of the table `comparisons`."""
    return "Differences of balanced accuracies: " + _joined(
        f"{titles[row['second']]} against {titles[row['first']]} {points(row['value'])} points"
        for row in pairs.to_dict("records")
    )


def thresholds_in_words(thresholds: pd.DataFrame, names: Iterable[str], titles: Titles) -> str:
    """Return these thresholds of every system, from the table `thresholds`."""
    parts = []
    for name in names:
        values = "; ".join(
            f"{titles[row['system']]} {threshold(row)}"
            for row in thresholds[thresholds["threshold"] == name].to_dict("records")
        )
        parts.append(f"{name} in {unit_of(thresholds, name)}: {values}")
    return f"Thresholds: {'. '.join(parts)}."


def calibration_in_words(calibration: pd.DataFrame, titles: Titles) -> str:
    """Return the calibration error of every system, from the table `calibration`."""
    rows = calibration[(calibration["metric"] == "ece") & (calibration["variant"] == "raw")]
    return "Expected calibration errors: " + _joined(
        f"{titles[row['system']]} {decimal(row['value'])}" for row in rows.to_dict("records")
    )


def curves_in_words(points_of: pd.DataFrame, titles: Titles, word: str, unit: str) -> str:
    """Return where the curve of every system starts and ends.

    Args:
        points_of: Rows of the table `curve_points` of one dimension and measure.
        titles: Of the systems.
        word: For the dimension.
        unit: Of its levels.
    """
    ends = []
    for system, title in titles.items():
        curve = points_of[points_of["system"] == system].sort_values("x")
        if len(curve):
            first, last = curve.iloc[0], curve.iloc[-1]
            ends.append(
                f"{title}: {percent(first['share'])} % at {first['level']:g} {unit}, "
                f"{percent(last['share'])} % at {last['level']:g} {unit}"
            )
    return f"Balanced accuracy by {word}. {_joined(ends)}"


def searches_in_words(searches: Mapping[str, pd.DataFrame]) -> str:
    """Return from which score to which each search came, from its candidates by title."""
    return "Dev score of each candidate instruction. " + _joined(
        f"{title}: {len(table)} candidates, first {decimal(float(table['score'].iloc[0]))}, "
        f"best {decimal(float(table['best_so_far'].iloc[-1]))}"
        for title, table in searches.items()
    )


def losses_in_words(logs: Mapping[str, pd.DataFrame]) -> str:
    """Return from which loss to which each training came, from its log by title."""
    return "Loss during training: " + _joined(
        f"{title} from {decimal(log['train_loss'].dropna().iloc[0])} to "
        f"{decimal(log['train_loss'].dropna().iloc[-1])} nats"
        for title, log in logs.items()
    )


def _joined(parts: Iterable[str]) -> str:
    return "; ".join(parts) + "."
