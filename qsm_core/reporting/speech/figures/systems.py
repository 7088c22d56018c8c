"""Systems side by side: one row a system, one panel a number, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qsm_core.reporting.page.canvas import (
    WIDTH_IN,
    FloatArray,
    Titles,
    dotted_line,
    level_ticks,
    new_figure,
    row_height_in,
    wrapped,
)
from qsm_core.reporting.page.formatting import decimal
from qsm_core.reporting.page.style import series_style


@dataclass(frozen=True)
class Panel:
    """One number of all systems.

    Args:
        table: Indexed by system: value, low, high and, where a value can be missing, `outcome`.
        label: Of the axis.
        scale: By which values are multiplied: 100 for per cent.
        chance: Where a dotted line stands.
        logarithmic: Whether the axis is.
        decimals: Of the value that is written beside the row.
    """

    table: pd.DataFrame
    label: str
    scale: float = 1.0
    chance: float | None = None
    logarithmic: bool = False
    decimals: int = 2


def systems_figure(panels: Sequence[Panel], titles: Titles) -> Figure:
    """Draw numbers of every system with their intervals.

    Args:
        panels: What to draw, from left to right.
        titles: By system, in order.
    """
    height = row_height_in(titles) * len(titles) + 0.75
    figure = new_figure(max(WIDTH_IN, 2.0 + 2.0 * len(panels)), height)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(grid, panels, strict=True):
        _draw_panel(axes, panel, titles)
    grid[0].set_yticks(range(len(titles)), [wrapped(title) for title in titles.values()])
    grid[0].set_ylim(len(titles) - 0.55, -0.75)  # the numbers stand above their rows
    return figure


def metric_panel(
    systems: pd.DataFrame,
    metric: str,
    label: str,
    *,
    scale: float = 1.0,
    chance: float | None = None,
    decimals: int = 2,
) -> Panel:
    """Return the panel of one metric of the table `systems` of an analysis."""
    rows = systems[systems["metric"] == metric].set_index("system")
    return Panel(rows[["value", "low", "high"]], label, scale, chance, decimals=decimals)


def threshold_panel(thresholds: pd.DataFrame, name: str) -> Panel:
    """Return the panel of one threshold of the table `thresholds` of an analysis."""
    rows = thresholds[thresholds["threshold"] == name].set_index("system")
    unit = str(rows["unit"].iloc[0])
    columns = rows[["value", "low", "high", "outcome"]]
    return Panel(columns, f"{name} ({unit})", logarithmic=unit == "ms", decimals=0)


def _draw_panel(axes: Axes, panel: Panel, titles: Titles) -> None:
    limits = _limits(panel)
    for position, system in enumerate(titles):
        known = panel.table[panel.table.index == system]
        row = known.iloc[0] if len(known) else None
        _draw_row(axes, panel, row, position, limits)
    if panel.chance is not None:
        dotted_line(axes, panel.chance, vertical=True)
    axes.set_xlim(*limits)
    if panel.logarithmic:
        level_ticks(axes, _steps_between(*limits), logarithmic=True)
        axes.set_xlim(*limits)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_xlabel(panel.label)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def _draw_row(
    axes: Axes, panel: Panel, row: pd.Series | None, position: int, limits: tuple[float, float]
) -> None:
    style = series_style(position)
    value, low, high = (
        float("nan") if row is None else panel.scale * float(row[name])
        for name in ("value", "low", "high")
    )
    has_interval = not np.isnan(low) and not np.isnan(high)
    if has_interval:
        ends = np.clip([low, high], *limits)
        axes.plot(ends, [position, position], color=style.color, solid_capstyle="round")
        for end in dict.fromkeys((low, high)):  # both may be infinite, on the same side
            if not limits[0] <= end <= limits[1]:
                edge, arrow = (limits[0], "<") if end < limits[0] else (limits[1], ">")
                (mark,) = axes.plot(edge, position, arrow, color=style.color, markersize=5)
                mark.set(clip_on=False, in_layout=False)  # half of it lies outside of the panel
    if np.isfinite(value):
        axes.plot(value, position, style.marker, color=style.color, markersize=6.5)
        axes.annotate(
            decimal(value, panel.decimals),
            (value, position),
            xytext=(0, 5.5),
            textcoords="offset points",
            ha=_alignment(value, limits, logarithmic=panel.logarithmic),
            va="bottom",
            fontsize=7.5,
        )
    else:
        word = "not defined" if row is None else str(row.get("outcome", "not defined"))
        axes.annotate(
            word,
            (0.5, position),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0, 5.5 if has_interval else 0),  # not on the line of the interval
            textcoords="offset points",
            ha="center",
            va="bottom" if has_interval else "center",
            fontsize=7.5,
            style="italic",
        )


def _steps_between(low: float, high: float) -> FloatArray:
    """Return round numbers for a logarithmic axis, three of them where there is room."""
    for factors in ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), tuple(np.arange(1, 10, 0.5))):
        steps = np.array([factor * 10.0**power for power in range(7) for factor in factors])
        inside = steps[(steps >= low) & (steps <= high)]
        if len(inside) > 2:
            break
    return inside


def _alignment(value: float, limits: tuple[float, float], *, logarithmic: bool) -> str:
    """Keep the number inside its panel."""
    low, high, place = np.log([*limits, value]) if logarithmic else np.array([*limits, value])
    share = (place - low) / (high - low)
    return "left" if share < 0.12 else "right" if share > 0.88 else "center"


def _limits(panel: Panel) -> tuple[float, float]:
    """Return axis limits that hold all values, and all ends of intervals that are finite."""
    numbers = panel.scale * panel.table[["value", "low", "high"]].to_numpy(dtype=np.float64)
    known = numbers[np.isfinite(numbers)]
    if panel.chance is not None:
        known = np.append(known, panel.chance)
    if panel.logarithmic:
        known = known[known > 0]
        low, high = (known.min(), known.max()) if len(known) else (10.0, 1000.0)
        return float(low / 1.35), float(high * 1.35)
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    margin = 0.06 * (high - low) or 0.5
    return float(low - margin), float(high + margin)
