"""Views of the clips and of several trainings."""

from __future__ import annotations

import pandas as pd

from qsm_core.reporting.page.formatting import (
    count,
    percent,
    percent_with_ends,
)
from qsm_core.reporting.page.table_view import TableView, frame_view, text_of


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
            text_of(row["reason"]),
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


def sizes_view(sizes: pd.DataFrame) -> TableView:
    """Return clips and groups of each split and class."""
    headers = {"split": "Split", "label": "Class", "clips": "Clips", "groups": "Groups"}
    return frame_view("Clips and groups by split", sizes, headers)
