"""Psychometric curves: measured shares with intervals, the fitted function and its band."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qsm_core.reporting.page.canvas import (
    WIDTH_IN,
    Titles,
    dotted_line,
    level_ticks,
    new_figure,
    panel_grid,
    percent_limits,
    wrapped,
)
from qsm_core.reporting.page.style import GRID, series_style

MOST_IN_ONE_PANEL = 4
_COLUMNS = 3
_CHANCE = 50.0
_AXES = {
    "duration": ("duration (ms, logarithmic)", True),
    "snr": ("signal-to-noise ratio (dB)", False),
}


def psychometric_curves(
    points: pd.DataFrame, bands: pd.DataFrame, titles: Titles, *, dimension: str, measure: str
) -> Figure:
    """Draw the curves of every system; more than four get a panel each, the others in grey.

    Args:
        points: Table `curve_points` of an analysis.
        bands: Table `curve_bands` of an analysis.
        titles: By system, in order.
        dimension: "duration" or "snr", or one of crossed conditions, such as "duration at snr_0dB".
        measure: "balanced accuracy" or "speech recall".
    """
    points, bands = (
        table[(table["dimension"] == dimension) & (table["measure"] == measure)]
        for table in (points, bands)
    )
    known = [system for system in titles if system in set(points["system"])]
    label, logarithmic = _AXES[dimension.partition(" at ")[0]]
    levels = np.array(sorted(points["level"].astype(float).unique()), dtype=np.float64)
    if len(known) <= MOST_IN_ONE_PANEL:
        figure = new_figure(WIDTH_IN, 4.1)
        panels, groups = [figure.add_subplot()], [known]
        handles = [_handle(list(titles).index(name), titles[name]) for name in known]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=9)
    else:
        figure, panels = panel_grid(len(known), columns=_COLUMNS, panel_height_in=2.05)
        groups = [[name] for name in known]
    for axes, group in zip(panels, groups, strict=True):
        if len(groups) > 1:
            _draw_others(axes, bands, set(known) - set(group))
            axes.set_title(wrapped(titles[group[0]]), fontsize=9)
        for system in group:
            _draw_system(axes, points, bands, system, list(titles).index(system))
        dotted_line(axes, _CHANCE)
        level_ticks(axes, levels, logarithmic=logarithmic)
        axes.grid()
    panels[0].set_ylim(*percent_limits(points[["share", "low", "high"]].to_numpy(), also=_CHANCE))
    figure.supxlabel(label, fontsize=9.5)
    figure.supylabel(f"{measure} (%)", fontsize=9.5)
    return figure


def _draw_system(
    axes: Axes, points: pd.DataFrame, bands: pd.DataFrame, system: str, index: int
) -> None:
    style = series_style(index)
    band = bands[bands["system"] == system].sort_values("x")
    x, low, high = (band[name].to_numpy(dtype=np.float64) for name in ("level", "low", "high"))
    axes.fill_between(x, 100 * low, 100 * high, color=style.color, alpha=0.15, linewidth=0)
    axes.plot(x, 100 * band["fit"].to_numpy(dtype=np.float64), style.dash, color=style.color)
    rows = points[points["system"] == system].sort_values("x")
    share = 100 * rows["share"].to_numpy(dtype=np.float64)
    ends = 100 * rows[["low", "high"]].to_numpy(dtype=np.float64)
    lengths = np.abs(np.stack([share - ends[:, 0], ends[:, 1] - share]))
    axes.errorbar(
        rows["level"].to_numpy(dtype=np.float64),
        share,
        yerr=np.nan_to_num(lengths),
        fmt=style.marker,
        color=style.color,
        elinewidth=0.9,
        markersize=5.5,
    )


def _draw_others(axes: Axes, bands: pd.DataFrame, others: Iterable[str]) -> None:
    for system in sorted(others):
        band = bands[bands["system"] == system].sort_values("x")
        fit = 100 * band["fit"].to_numpy(dtype=np.float64)
        axes.plot(band["level"].to_numpy(dtype=np.float64), fit, color=GRID, alpha=0.45, lw=0.8)


def _handle(index: int, title: str) -> Line2D:
    style = series_style(index)
    name = wrapped(title, 40)
    return Line2D([], [], color=style.color, linestyle=style.dash, marker=style.marker, label=name)
