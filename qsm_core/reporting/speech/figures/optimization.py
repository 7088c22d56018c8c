"""The course of the prompt searches and of the LoRA trainings."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from qsm_core.reporting.page.canvas import (
    WIDTH_IN,
    new_figure,
    panel_grid,
    wrapped,
)
from qsm_core.reporting.page.style import series_style

_COLUMNS = 2


def search_curves(searches: Mapping[str, pd.DataFrame], score_name: str = "score on dev") -> Figure:
    """Draw the score of each candidate instruction and the best so far, one panel a search.

    Args:
        searches: By title: tables with `number`, `score` and `best_so_far`.
        score_name: What the score is, for the axis.
    """
    figure, panels = panel_grid(len(searches), columns=_COLUMNS, panel_height_in=2.75)
    for index, (axes, (title, table)) in enumerate(zip(panels, searches.items(), strict=True)):
        style = series_style(index)
        order = table["number"]
        axes.plot(order, table["score"], "o", color=style.color, alpha=0.55, label="candidate")
        axes.step(order, table["best_so_far"], where="post", color=style.color, label="best so far")
        axes.set_title(wrapped(title, 40))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
    figure.supxlabel("candidate, in the order of scoring", fontsize=9.5)
    figure.supylabel(score_name, fontsize=9.5)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=9)
    return figure


def training_loss(logs: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the training loss, and the dev loss where it was measured.

    Args:
        logs: By title of the training: columns `step`, `train_loss` and `dev_loss`.
    """
    figure = new_figure(WIDTH_IN, 3.1 + 0.16 * len(logs))
    axes = figure.add_subplot()
    for index, (title, log) in enumerate(logs.items()):
        style, start = series_style(index), f"{title}: " if len(logs) > 1 else ""
        for column, name, dash in (("train_loss", "training", "-"), ("dev_loss", "dev", "--")):
            known = log[log[column].notna()]
            marker = style.marker if column == "dev_loss" else ""
            axes.plot(
                known["step"],
                known[column],
                dash,
                color=style.color,
                marker=marker,
                alpha=1.0 if column == "dev_loss" else 0.65,
                label=start + name,
            )
    axes.set_xlabel("update")
    axes.set_ylabel("loss (nats an answer)")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid()
    figure.legend(loc="outside upper left", ncols=2, fontsize=9)
    return figure
