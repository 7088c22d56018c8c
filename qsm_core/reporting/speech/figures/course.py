"""Balanced accuracy over an ordered list of runs or files: how it went from first to last."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.canvas import (
    WIDTH_IN,
    Titles,
    dotted_line,
    new_figure,
    percent_limits,
    wrapped,
)
from qsm_core.reporting.page.style import series_style

_CHANCE = 50.0
_LONGEST_LABEL = 16
_APART = 0.06  # of lines at the same place

Lines = Mapping[str, Mapping[str, str]]


def lines_over(titles: Titles) -> dict[str, dict[str, str]]:
    """Return the lines of the figure: by title of a line, systems by their place's label.

    Systems of runs make a line for each system that several runs have, over the runs; systems of
    files are one line, over the files.

    Args:
        titles: By system, in the order of their sources, without calibrated ones.
    """
    lines: dict[str, dict[str, str]] = {}
    for name, title in titles.items():
        system = System.read(name)
        if system.run is None:
            lines.setdefault("", {})[title] = name
        else:
            like = system.name.removeprefix(f"{system.run}.")
            lines.setdefault(System.read(like).title, {})[system.run] = name
    return {title: line for title, line in lines.items() if len(line) > 1}


def course(systems: pd.DataFrame, lines: Lines) -> Figure:
    """Draw the balanced accuracy over clips along each line, with intervals.

    Args:
        systems: The table `systems` of an analysis.
        lines: What `lines_over` returns.
    """
    rows = systems[systems["metric"] == "ba_clip"].set_index("system")[["value", "low", "high"]]
    labels = list(dict.fromkeys(label for line in lines.values() for label in line))
    figure = new_figure(max(WIDTH_IN, 1.0 + 0.9 * len(labels)), 3.8)
    axes = figure.subplots()
    for number, (title, line) in enumerate(lines.items()):
        style = series_style(number)
        shares = 100 * rows.reindex(list(line.values())).to_numpy(dtype=np.float64)
        shift = _APART * (number - (len(lines) - 1) / 2)
        places = np.array([labels.index(label) for label in line]) + shift
        axes.plot(
            places, shares[:, 0], marker=style.marker, color=style.color, label=title, markersize=6
        )
        axes.vlines(places, shares[:, 1], shares[:, 2], color=style.color, alpha=0.7)
    dotted_line(axes, _CHANCE)
    axes.set_ylim(*percent_limits(rows.to_numpy(dtype=np.float64), also=_CHANCE))
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_xticks(range(len(labels)), [wrapped(label, _LONGEST_LABEL) for label in labels])
    axes.set_ylabel("balanced accuracy (%)")
    axes.grid(axis="y")
    if len(lines) > 1:
        axes.legend(loc="lower right")
    return figure
