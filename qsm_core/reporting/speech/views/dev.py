"""Views of what was chosen on dev, and of how it holds on test."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from qsm_core.reporting.page.formatting import (
    decimal,
    percent,
    points_with_ends,
)
from qsm_core.reporting.page.table_view import TableView, Titles, text_of

MAX_CANDIDATES = 200


def operating_points_view(points_table: pd.DataFrame, titles: Titles) -> TableView:
    """Return the thresholds that were calibrated on dev."""
    rows = [
        (
            titles.get(row["system"], str(row["system"])),
            decimal(row["threshold"], 3),
            percent(row["dev_ba_clip"]),
            percent(row["dev_ba_clip_calibrated"]),
            text_of(row["reason"]),
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
    """Return the instruction of each system with its score on test; detectors have none."""
    rows = [
        (
            str(row["title"]),
            str(instructions[str(row["system"])]),
            percent(row["ba_clip"]),
        )
        for row in results.to_dict("records")
        if instructions.get(str(row["system"]))
    ]
    return TableView(
        caption="The instruction of each system",
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
            text_of(row.get("origin")),
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
