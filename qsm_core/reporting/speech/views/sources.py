"""Views of the clips and of several trainings."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from qsm_core.reporting.page.formatting import (
    count,
    percent,
    percent_with_ends,
    points_with_ends,
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
            f"{percent(row['seeds_low'])} to {percent(row['seeds_high'])}",
            percent(row["spread"], 2),
            f"{percent(row['lowest'])} to {percent(row['highest'])}",
        )
        for row in summary.to_dict("records")
    ]
    return TableView(
        caption="Over the seeds of a training, in per cent: mean with the interval over clips, "
        "interval over seeds and clips, standard deviation over seeds, lowest to highest",
        headers=("System", "Metric", "Seeds", "Mean", "Seeds and clips", "Spread", "Range"),
        rows=tuple(rows),
        text_columns=frozenset({0, 1}),
    )


def ensembles_view(ensembles: pd.DataFrame, titles: Mapping[str, str]) -> TableView:
    """Return what each ensemble of seeds adds to the member that is best on dev."""
    rows = [
        (
            titles[row["system"]],
            count(row["members"]),
            titles.get(row["best_member"], ""),
            f"{percent(row['dev_ba_clip_best'])} and {percent(row['dev_ba_clip'])}",
            f"{percent(row['ba_clip_best'])} and {percent(row['ba_clip'])}",
            points_with_ends(row["value"], row["low"], row["high"]),
            text_of(row["reason"]),
        )
        for row in ensembles.to_dict("records")
    ]
    return TableView(
        caption="What the mean over seeds adds to its best member, which is chosen on dev: "
        "balanced accuracy over clips (%), of the member and of the ensemble",
        headers=("Ensemble", "Members", "Best on dev", "Dev", "Test", "Gain on test", "Why not"),
        rows=tuple(rows),
        text_columns=frozenset({0, 2, 6}),
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
