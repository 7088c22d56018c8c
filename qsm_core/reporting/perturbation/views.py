"""The tables of damaged weights as a reader sees them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from qsm_core.perturbation.cells import CLEAN
from qsm_core.reporting.page.formatting import (
    MISSING,
    count,
    decimal,
    decimal_of_row,
    percent_of_row,
)
from qsm_core.reporting.page.sections import TextView
from qsm_core.reporting.page.table_view import TableView

_LONGEST = 2000  # characters of a text on the page


def curves_view(curves: pd.DataFrame) -> TableView:
    """Return the response at each level."""
    rows = [
        (
            _named(row),
            f"{row['level']:g}",
            f"{row['draws']}" + (f" ({row['lost']} lost)" if row["lost"] else ""),
            count(row["num_weights"]),
            decimal(row["relative_norm"]),
            decimal_of_row(row, "kl_mean"),
            percent_of_row(row, "same_top1"),
            decimal_of_row(row, "perplexity", 1),
        )
        for row in curves.to_dict("records")
    ]
    return TableView(
        "Response at each level",
        (
            "Condition",
            "Level",
            "Draws",
            "Weights",
            "Relative norm",
            "KL, nats a token",
            "Same top-1, %",
            "Perplexity",
        ),
        tuple(rows),
        notes=(
            "In brackets: 95 % intervals over draws of damage. KL and perplexity are geometric "
            "means, since they grow by factors.",
            "Lost: the damaged model gives no numbers (NaN or infinite); it has lost all top-1 "
            "tokens and has no divergence.",
        ),
    )


def half_view(halves: pd.DataFrame) -> TableView:
    """Return the level at which half of the top-1 tokens are lost."""
    rows = [
        (
            _named(row),
            decimal_of_row(row, "level"),
            decimal_of_row(row, "relative_norm"),
            f"{row['draws'] - row['not_reached']} of {row['draws']}",
        )
        for row in halves.to_dict("records")
    ]
    return TableView(
        "Where half of the top-1 tokens are lost",
        ("Condition", "Level", "Relative norm", "Draws that reach it"),
        tuple(rows),
        notes=(
            "Each draw's level lies between two that were run, along a straight line. Where a draw "
            "does not reach it, the mean is of the others and too low, and has no interval.",
        ),
    )


def tasks_view(texts: pd.DataFrame) -> TableView:
    """Return right answers and the shape of texts by task."""
    rows = [
        (
            _named(row),
            f"{row['level']:g}",
            str(row["task"]),
            count(row["texts"]),
            percent_of_row(row, "right"),
            decimal_of_row(row, "distinct_2", 2),
            decimal_of_row(row, "repeated_4", 2),
            decimal(row["words"], 1),
        )
        for row in texts.to_dict("records")
    ]
    return TableView(
        "Texts by task",
        (
            "Condition",
            "Level",
            "Task",
            "Texts",
            "Right, %",
            "Distinct pairs",
            "Repeated fours",
            "Words",
        ),
        tuple(rows),
        text_columns=frozenset({0, 2}),
        notes=(
            "Right: a right answer stands in the text. Distinct pairs: different pairs of words "
            "over all; repeated fours: sequences of four words that were there before.",
        ),
    )


def side_by_side(texts: pd.DataFrame, most: int) -> list[TextView]:
    """Return for some prompts what the first draw wrote at each level of each condition."""
    first = texts[texts["draw"] == texts["draw"].min()] if len(texts) else texts
    views = []
    for prompt_id, part in list(first.groupby("prompt_id", sort=False))[:most]:
        lines = []
        for condition, one in part.groupby("condition", sort=False):
            ordered = one.sort_values("level")
            for row in ordered.to_dict("records"):
                name = CLEAN if condition == CLEAN else f"{condition}, {row['level']:g}"
                lines.append(f"-- {name}\n{str(row['output'])[:_LONGEST].strip() or '(nothing)'}\n")
        views.append(TextView(f"{prompt_id}, first draw", "", "\n".join(lines)))
    return views


def cost_view(cells: pd.DataFrame, texts: pd.DataFrame) -> TableView:
    """Return what each condition took."""
    rows = []
    for condition in dict.fromkeys(cells["condition"]):
        own = cells[cells["condition"] == condition]
        written = texts[texts["condition"] == condition]
        rows.append(
            (
                str(condition),
                count(len(own)),
                count(len(written)),
                count(written["tokens"].sum()) if len(written) else MISSING,
            )
        )
    return TableView("What was made", ("Condition", "Cells", "Texts", "Tokens"), tuple(rows))


def first_columns(view: TableView, columns: Sequence[int]) -> TableView:
    """Return a view with some of its columns."""
    return TableView(
        view.caption,
        tuple(view.headers[place] for place in columns),
        tuple(tuple(row[place] for place in columns) for row in view.rows),
    )


def _named(row: dict[object, object]) -> str:
    return str(row["condition"])
