"""Forest plot: paired differences with their intervals, one row a comparison."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qsm_core.reporting.page.canvas import Titles, new_figure, wrapped
from qsm_core.reporting.page.formatting import p_value, points_with_ends
from qsm_core.reporting.page.style import GRID, INK, series_style

_WIDTH_IN = 9.6
_LABEL_CHARACTERS = 44


def forest(comparisons: pd.DataFrame, titles: Titles, *, margin: float | None = None) -> Figure:
    """Draw differences of balanced accuracies in percentage points.

    A filled marker has a corrected p below 0.05; the texts on the right say the numbers.

    Args:
        comparisons: Rows of the table `comparisons` of an analysis, of one metric.
        titles: By system.
        margin: Of non-inferiority, as a share; drawn as a band around zero.
    """
    rows = comparisons.reset_index(drop=True)
    labels = [
        wrapped(f"{titles[row['second']]} against {titles[row['first']]}", _LABEL_CHARACTERS)
        for row in rows.to_dict("records")
    ]
    lines = max(label.count("\n") + 1 for label in labels)
    height = (0.2 + 0.15 * lines) * len(rows) + 0.95
    figure = new_figure(_WIDTH_IN, height)
    axes, numbers = figure.subplots(1, 2, sharey=True, width_ratios=(1.9, 1))
    if margin is not None:
        axes.axvspan(-100 * margin, 100 * margin, color=GRID, alpha=0.15, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.9)
    order = list(titles)
    for position, row in enumerate(rows.to_dict("records")):
        _draw_row(axes, row, position, order.index(row["second"]))
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("difference of balanced accuracies (percentage points)")
    axes.grid(axis="x")
    _write_numbers(numbers, rows)
    return figure


def _draw_row(axes: Axes, row: dict[Hashable, Any], position: int, series: int) -> None:
    style = series_style(series)
    value, low, high = (100 * row[name] for name in ("value", "low", "high"))
    corrected = row["p_holm"]
    if np.isfinite([low, high]).all():
        axes.plot([low, high], [position, position], color=style.color, solid_capstyle="round")
    axes.plot(
        value,
        position,
        style.marker,
        color=style.color,
        markersize=7,
        markerfacecolor=style.color if corrected < 0.05 else "none",
        markeredgewidth=1.5,
    )


def _write_numbers(axes: Axes, rows: pd.DataFrame) -> None:
    """Write the numbers beside their rows, under two headings."""
    axes.axis("off")
    axes.set_xlim(0, 1)
    axes.text(0, 1.01, "points [interval]", transform=axes.transAxes, va="bottom", fontsize=8.5)
    axes.text(0.82, 1.01, "corrected p", transform=axes.transAxes, va="bottom", fontsize=8.5)
    for position, row in enumerate(rows.to_dict("records")):
        numbers = points_with_ends(row["value"], row["low"], row["high"])
        axes.text(0, position, numbers, va="center", fontsize=8.5)
        axes.text(0.82, position, p_value(row["p_holm"]), va="center", fontsize=8.5)
