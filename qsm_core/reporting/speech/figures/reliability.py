"""Reliability diagrams: how often the answer is speech where the system says a probability."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qsm_core.reporting.page.canvas import Titles, panel_grid, wrapped
from qsm_core.reporting.page.style import GRID, INK, series_style

_COLUMNS = 4
_VARIANTS = {"raw": ("as given", True), "temperature": ("after temperature scaling", False)}


def reliability_diagrams(reliability: pd.DataFrame, titles: Titles) -> Figure:
    """Draw the share of speech against the mean probability of each bin, one panel a system.

    Args:
        reliability: Table `reliability` of an analysis.
        titles: By system, in order; systems without scores get no panel.
    """
    known = [name for name in titles if name in set(reliability["system"])]
    figure, panels = panel_grid(
        len(known), columns=_COLUMNS, panel_height_in=2.1, panel_width_in=1.75
    )
    for axes, system in zip(panels, known, strict=True):
        axes.plot([0, 1], [0, 1], color=GRID, linewidth=1, linestyle=":")
        rows = reliability[reliability["system"] == system]
        for variant, (_, filled) in _VARIANTS.items():
            index = list(titles).index(system)
            _draw_variant(axes, rows[rows["variant"] == variant], index, filled=filled)
        axes.set_title(wrapped(titles[system], 19), fontsize=8.5)
        axes.set_aspect("equal")
        axes.grid()
    panels[0].set_xlim(-0.03, 1.03)
    panels[0].set_ylim(-0.03, 1.03)
    for axes in panels:
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    figure.supxlabel("probability of speech that the system gives", fontsize=9.5)
    figure.supylabel("share of speech", fontsize=9.5)
    present = [name for name in _VARIANTS if name in set(reliability["variant"])]
    if len(present) > 1:
        handles = [_handle(*_VARIANTS[name]) for name in present]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=9)
    return figure


def _draw_variant(axes: Axes, rows: pd.DataFrame, index: int, *, filled: bool) -> None:
    if rows.empty:
        return
    style = series_style(index)
    rows = rows.sort_values("mean_p")
    x, y, low, high = (
        rows[name].to_numpy(dtype=np.float64) for name in ("mean_p", "share_speech", "low", "high")
    )
    axes.errorbar(
        x,
        y,
        yerr=np.nan_to_num(np.abs(np.stack([y - low, high - y]))),
        fmt=style.marker,
        linestyle="-" if filled else "--",
        linewidth=1.0,
        color=style.color,
        alpha=1.0 if filled else 0.75,
        elinewidth=0.8,
        markersize=4,
        markerfacecolor=style.color if filled else "none",
    )


def _handle(name: str, filled: bool) -> Line2D:  # unpacked from a table
    return Line2D(
        [],
        [],
        color=INK,
        marker="o",
        markersize=4,
        linewidth=1.0,
        linestyle="-" if filled else "--",
        markerfacecolor=INK if filled else "none",
        label=name,
    )
