"""The figures of an acceptance: every case in both arms, and how the scores are distributed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsm_core.reporting.page.canvas import WIDTH_IN, dotted_line, new_figure
from qsm_core.reporting.page.drawings import ReportFigure
from qsm_core.reporting.page.formatting import decimal
from qsm_core.reporting.page.style import GRID, series_style

_SIDE_IN = 4.2
_BINS = np.linspace(0, 1, 21)


def acceptance_figures(cases: pd.DataFrame, ratio: float) -> dict[str, ReportFigure]:
    """Return the figures by name.

    Args:
        cases: One row a case: baseline, student, and whether each is valid.
        ratio: That the student has to reach.
    """
    better = int((cases["difference"] > 0).sum())
    worse = int((cases["difference"] < 0).sum())
    means = [decimal(cases[arm].mean()) for arm in ("baseline", "student")]
    return {
        "paired": ReportFigure(
            "Every case in both arms",
            "Above the line the student is better. A cross is a case that an arm failed, which "
            f"counts as 0. The dotted line is {ratio:g} times the baseline.",
            f"Scores of {len(cases)} cases: the student is better in {better}, worse in {worse}.",
            lambda: _paired(cases, ratio),
        ),
        "distributions": ReportFigure(
            "Scores",
            "Failures stand at 0; dotted lines are means.",
            f"Histograms of the scores; mean of the baseline {means[0]}, of the student "
            f"{means[1]}.",
            lambda: _distributions(cases),
        ),
    }


def training_figure(log: pd.DataFrame) -> ReportFigure:
    """Return the learning curve of a student.

    Args:
        log: One row an update: train_loss and, after some, dev_loss, in nats a token.
    """
    best = log.dropna(subset=["dev_loss"]).nsmallest(1, "dev_loss").to_dict("records")[0]
    return ReportFigure(
        "Learning curve",
        "Loss on the answers of the cases, nats a token. The dotted line marks the update that was "
        "kept, the best on groups of these cases that were kept aside; no case of the evaluation "
        "was read.",
        f"Loss against updates; best on dev {decimal(float(best['dev_loss']))} at update "
        f"{int(best['step'])}.",
        lambda: _learning(log, int(best["step"])),
    )


def _learning(log: pd.DataFrame, kept: int) -> Figure:
    figure = new_figure(WIDTH_IN, 2.8)
    axes = figure.subplots()
    for index, (column, label) in enumerate((("train_loss", "train"), ("dev_loss", "dev"))):
        part, style = log.dropna(subset=[column]), series_style(index)
        marker = style.marker if column == "dev_loss" else None
        axes.plot(part["step"], part[column], color=style.color, marker=marker, label=label)
    dotted_line(axes, kept, vertical=True)
    axes.set(xlabel="Update", ylabel="Loss, nats a token", yscale="log")
    axes.legend(fontsize=8)
    return figure


def _paired(cases: pd.DataFrame, ratio: float) -> Figure:
    figure = new_figure(_SIDE_IN, _SIDE_IN)
    axes = figure.subplots()
    both = cases["baseline_valid"] & cases["student_valid"]
    for kept, name, index in ((both, "valid in both", 0), (~both, "failed", 1)):
        part, style = cases[kept], series_style(index)
        if len(part):
            axes.scatter(
                part["baseline"],
                part["student"],
                marker="o" if index == 0 else "x",
                color=style.color,
                s=24,
                alpha=0.8,
                label=name,
                clip_on=False,
            )
    axes.plot([0, 1], [0, 1], color=GRID, linewidth=1)
    axes.plot([0, 1], [0, ratio], color=GRID, linewidth=1, linestyle=":")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="Baseline", ylabel="Student", aspect="equal")
    axes.legend(loc="upper left", fontsize=8)
    return figure


def _distributions(cases: pd.DataFrame) -> Figure:
    figure = new_figure(WIDTH_IN, 2.8)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for index, (axes, arm) in enumerate(zip(panels, ("baseline", "student"), strict=True)):
        axes.hist(cases[arm], bins=_BINS, color=series_style(index).color)
        dotted_line(axes, float(cases[arm].mean()), vertical=True)
        axes.set(title=arm.capitalize(), xlabel="Score", ylabel="Cases" if index == 0 else "")
    return figure
