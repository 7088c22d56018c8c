"""Shared parts of figures: grids of panels, titles that fit, limits in per cent, dotted lines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from qsm_core.reporting.page.style import GRID

FloatArray = npt.NDArray[np.float64]
Titles = Mapping[str, str]

WIDTH_IN = 7.4
_LONGEST_LINE = 27
_MOST_LINES = 3


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure whose labels make room for themselves."""
    layout = ConstrainedLayoutEngine(w_pad=0.07, h_pad=0.07)
    figure = Figure(figsize=(width_in, height_in), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def panel_grid(
    count: int, *, columns: int, panel_height_in: float, panel_width_in: float | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure with `count` panels in rows of at most `columns`; the rest stays empty.

    Without `panel_width_in`, panels share the width of the report's figures.
    """
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    width = WIDTH_IN if panel_width_in is None else max(4.2, columns * panel_width_in + 0.5)
    figure = new_figure(width, rows * panel_height_in + 0.3)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    for axes in panels[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)  # the last panel of each column
    return figure, panels[:count]


def wrapped(title: str, width: int = _LONGEST_LINE) -> str:
    """Return a title on lines that fit beside an axis; one that is still too long ends in dots."""
    lines = textwrap.wrap(title, width, break_long_words=True) or [""]
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], ""]
        lines[_MOST_LINES - 1] = lines[_MOST_LINES - 1][: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return "\n".join(lines).rstrip("\n")


def row_height_in(titles: Titles | list[str]) -> float:
    """Return the height of a row that holds the longest of the titles beside an axis."""
    texts = titles.values() if isinstance(titles, Mapping) else titles
    lines = max((wrapped(text).count("\n") + 1 for text in texts), default=1)
    return 0.18 + 0.155 * lines


def percent_limits(shares: npt.ArrayLike, *, also: float) -> tuple[float, float]:
    """Return axis limits in per cent, in steps of five, that include all shares.

    Args:
        shares: From 0 to 1; those that are not finite do not count.
        also: A value in per cent that the limits include as well.
    """
    values = np.asarray(shares, dtype=np.float64)
    low = min([also, *(100 * values[np.isfinite(values)])])
    return max(-1.0, 5 * math.floor((low - 1) / 5)), 101.5


def dotted_line(axes: Axes, at: float, *, vertical: bool = False) -> None:
    """Draw a dotted line across a panel, for example at chance level."""
    draw = axes.axvline if vertical else axes.axhline
    draw(at, color=GRID, linewidth=1, linestyle=":")


def level_ticks(axes: Axes, levels: FloatArray, *, logarithmic: bool) -> None:
    """Mark the tested levels on the x axis; labels that would touch are left out."""
    if logarithmic:
        axes.set_xscale("log")
    axes.set_xticks(levels)
    axes.set_xticks([], minor=True)
    positions = np.log(levels) if logarithmic else levels
    span = max(float(np.ptp(positions)), 1e-9)
    names, last = [], -np.inf
    for position, level in zip(positions, levels, strict=True):
        text = f"{level:g}".replace("-", "\N{MINUS SIGN}")
        # A name needs room for half of itself and half of its neighbour.
        fits = (position - last) / span > 0.022 * (len(text) + 1.2) * axes_share(axes)
        names.append(text if fits else "")
        last = position if fits else last
    axes.set_xticklabels(names)


def axes_share(axes: Axes) -> float:
    """Return how many panels are side by side: labels take a larger share of a narrow panel."""
    spec = axes.get_subplotspec()
    return 1.0 if spec is None else float(spec.get_gridspec().ncols)
