"""Confusion by condition: how much of each class a system has right, one panel a system."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qsm_core.reporting.page.canvas import Titles, dotted_line, panel_grid, wrapped
from qsm_core.reporting.page.style import GRID
from qsm_core.reporting.speech.figures.heat_map import short_name

_COLUMNS = 4
_CLASSES = (
    ("SPEECH", "speech called SPEECH", "o", "#4477aa"),
    ("NONSPEECH", "non-speech called NONSPEECH", "s", "#cc7a1f"),
)


def confusion_by_condition(confusion: pd.DataFrame, titles: Titles) -> Figure:
    """Draw the two recalls of every system in every condition, joined by a line.

    A long line is a threshold that favours one class; two points on the left are a system that
    does not hear the difference.

    Args:
        confusion: Table `confusion` of an analysis, without the rows of all conditions together.
        titles: By system, in order.
    """
    right = confusion[confusion["answer"] == confusion["label"]]
    keys = list(dict.fromkeys(right["condition"]))
    # Below 1.9 inches title, legend and axis would leave a few conditions no room of their own.
    height = max(1.9, 0.6 + 0.17 * len(keys))
    figure, panels = panel_grid(len(titles), columns=_COLUMNS, panel_height_in=height)
    for axes, (system, title) in zip(panels, titles.items(), strict=True):
        _draw_system(axes, right[right["system"] == system], keys)
        axes.set_title(wrapped(title, 19), fontsize=8.5)
    panels[0].set_xlim(-4, 104)
    panels[0].set_xticks([0, 50, 100])
    panels[0].set_yticks(range(len(keys)), [short_name(key) for key in keys])
    panels[0].set_ylim(len(keys) - 0.4, -0.6)
    figure.supxlabel("share of the class (%)", fontsize=9.5)
    handles = [
        Line2D([], [], linestyle="", marker=marker, color=color, label=name)
        for _, name, marker, color in _CLASSES
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=9)
    return figure


def _draw_system(axes: Axes, rows: pd.DataFrame, keys: list[str]) -> None:
    shares = {
        label: 100
        * rows[rows["label"] == label]
        .set_index("condition")["share"]
        .reindex(keys)
        .to_numpy(dtype=np.float64)
        for label, *_ in _CLASSES
    }
    places = np.arange(len(keys))
    both = np.stack([shares[label] for label, *_ in _CLASSES])
    axes.hlines(places, both.min(axis=0), both.max(axis=0), color=GRID, linewidth=1.1)
    for label, _, marker, color in _CLASSES:
        axes.plot(shares[label], places, marker, color=color, markersize=4.2)
    dotted_line(axes, 50, vertical=True)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0, labelsize=8)  # of each: only the positions are shared
