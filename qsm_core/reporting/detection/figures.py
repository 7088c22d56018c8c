"""The figures of a benchmark of detectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qsm_core.reporting.page.canvas import WIDTH_IN, new_figure, panel_grid
from qsm_core.reporting.page.drawings import ReportFigure
from qsm_core.reporting.page.formatting import percent
from qsm_core.reporting.page.style import series_style

Tables = Mapping[str, pd.DataFrame]
Titles = Mapping[str, str]

_RATES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
_PANEL_IN = 2.4
_ROW_IN = 0.28


def detection_figures(tables: Tables, titles: Titles, curves: Tables) -> dict[str, ReportFigure]:
    """Return the figures by name; those without anything to draw are left out."""
    sweep, f1 = tables["sweep"], tables["results"].query("metric == 'f1'")
    swept = _those_in(sweep, titles)
    filtered = tables["settings"].dropna(subset="unfiltered")
    before = dict(zip(filtered["detector"], filtered["unfiltered"], strict=True))
    itself = {name: title for name, title in titles.items() if name not in before}
    best = f1.sort_values("value").iloc[-1] if len(f1) else None
    figures = {
        "threshold_sweep": ReportFigure(
            "Rates against the threshold",
            "On test, without hysteresis, the rest as chosen. The dashed line is the threshold "
            "chosen on dev; the sweep chooses nothing.",
            "Precision, recall and F1 of each detector at thresholds from 0.1 to 0.9"
            + (
                ""
                if best is None
                else f"; the largest F1 at a chosen threshold is "
                f"{percent(best['value'])} ({titles[best['detector']]})"
            )
            + ".",
            lambda: _sweep(sweep, tables["settings"], swept),
        ),
        "precision_recall": ReportFigure(
            "Precision and recall",
            "Each line is the sweep of one detector; the large marker is the chosen threshold"
            + ("; an arrow leads to the second stage." if before else "."),
            "The same rates as a plane of precision and recall.",
            lambda: _plane(sweep, tables["results"], itself, before),
        ),
        "recall_by_tape": ReportFigure(
            "Recall by recording and threshold",
            "Rows are recordings of test, from the easiest to the hardest.",
            "Heat maps of recall, one a detector.",
            lambda: _heat_maps(tables["sweep_by_recording"], swept),
        ),
        "counts": ReportFigure(
            "Detections against annotations",
            "One point a recording of test; on the line both numbers are equal.",
            "Numbers of detections against numbers of annotations.",
            lambda: _counts(tables["by_recording"], itself),
        ),
        "reliability": ReportFigure(
            "Are the scores probabilities?",
            "Windows of test by the probability that a detector gives them after Platt's scaling "
            "on "
            "dev; on the line it is right.",
            "Observed share of windows with an event against the predicted probability.",
            lambda: _reliability(tables["reliability"], _those_in(tables["reliability"], titles)),
        ),
    }
    if len(tables["boundary_errors"]):
        figures["boundary_errors"] = ReportFigure(
            "Errors of begins and ends",
            "Detection minus annotation, for hits; boxes are quartiles, whiskers the 5th and 95th "
            "percentile.",
            "Box plots of the errors of begins and ends of each detector, in milliseconds.",
            lambda: _boundaries(tables["boundary_errors"], titles),
        )
    if curves:
        figures["learning_curves"] = ReportFigure(
            "Learning curves",
            "Average precision over frames or windows of val after each round; the round with the "
            "largest is kept.",
            "Average precision on val against the round of training.",
            lambda: _learning(curves),
        )
    return figures


def _those_in(table: pd.DataFrame, titles: Titles) -> Titles:
    """Return the titles of the detectors that have rows in a table."""
    there = set(table["detector"])
    return {name: title for name, title in titles.items() if name in there}


def _each(
    titles: Titles, draw: Callable[[Axes, str, int], None], height_in: float = _PANEL_IN
) -> Figure:
    figure, panels = panel_grid(len(titles), columns=3, panel_height_in=height_in)
    for index, (axes, (name, title)) in enumerate(zip(panels, titles.items(), strict=False)):
        draw(axes, name, index)
        axes.set_title(title, fontsize=9)
    return figure


def _sweep(sweep: pd.DataFrame, settings: pd.DataFrame, titles: Titles) -> Figure:
    chosen = settings.set_index("detector")["threshold_probability"]

    def draw(axes: Axes, name: str, _: int) -> None:
        own = sweep[sweep["detector"] == name]
        for index, (column, label) in enumerate(_RATES.items()):
            style = series_style(index)
            axes.plot(
                own["threshold"], own[column], color=style.color, marker=style.marker, label=label
            )
        axes.axvline(chosen[name], color="0.5", linestyle="--", linewidth=1)
        axes.set(ylim=(-0.02, 1.02), xlim=(0, 1), xlabel="Threshold")

    figure = _each(titles, draw)
    figure.axes[0].legend(loc="lower left", fontsize=8)
    return figure


def _plane(
    sweep: pd.DataFrame, results: pd.DataFrame, titles: Titles, before: Mapping[str, str]
) -> Figure:
    figure = new_figure(WIDTH_IN, 3.6)
    axes = figure.subplots()
    values = results.pivot_table(index="detector", columns="metric", values="value")
    for index, (name, title) in enumerate(titles.items()):
        style, own = series_style(index), sweep[sweep["detector"] == name]
        if len(own):
            axes.plot(own["recall"], own["precision"], color=style.color, linewidth=1, label=title)
        if name in values.index:
            axes.plot(
                [float(values["recall"][name])],
                [float(values["precision"][name])],
                color=style.color,
                marker=style.marker,
                markersize=9,
                label=title if own.empty else None,
            )
    for name, first in before.items():
        start, end = (
            (float(values["recall"][one]), float(values["precision"][one])) for one in (first, name)
        )
        axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "0.3"})
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="Recall", ylabel="Precision")
    axes.legend(loc="best", fontsize=8)
    return figure


def _heat_maps(table: pd.DataFrame, titles: Titles) -> Figure:
    order = table.groupby("recording_id")["recall"].mean().sort_values(ascending=False).index

    def draw(axes: Axes, name: str, _: int) -> None:
        own = table[table["detector"] == name]
        grid = own.pivot_table(index="recording_id", columns="threshold", values="recall")
        grid = grid.reindex(order)
        axes.imshow(
            grid,
            vmin=0,
            vmax=1,
            aspect="auto",
            cmap="viridis",
            origin="upper",
            interpolation="nearest",
        )
        axes.grid(visible=False)
        axes.set_xticks(range(len(grid.columns)), [f"{one:g}" for one in grid.columns], fontsize=6)
        axes.set_yticks(range(len(order)), [str(one)[:22] for one in order], fontsize=6)
        axes.set_xlabel("Threshold")

    return _each(titles, draw, max(1.6, 0.6 + _ROW_IN * min(len(order), 40)))


def _counts(table: pd.DataFrame, titles: Titles) -> Figure:
    top = max(1.0, float(table[["n_truth", "n_found"]].to_numpy().max())) * 1.05

    def draw(axes: Axes, name: str, index: int) -> None:
        own, style = table[table["detector"] == name], series_style(index)
        axes.plot([0, top], [0, top], color="0.7", linewidth=1)
        axes.scatter(own["n_truth"], own["n_found"], color=style.color, marker=style.marker, s=18)
        axes.set(xlim=(0, top), ylim=(0, top), xlabel="Annotations", ylabel="Detections")

    return _each(titles, draw)


def _reliability(table: pd.DataFrame, titles: Titles) -> Figure:
    figure = new_figure(WIDTH_IN * 0.7, 3.2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for index, (name, title) in enumerate(titles.items()):
        own, style = table[table["detector"] == name], series_style(index)
        axes.plot(
            own["predicted"], own["observed"], color=style.color, marker=style.marker, label=title
        )
    axes.set(xlabel="Predicted probability", ylabel="Share with an event", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left", fontsize=8)
    return figure


def _boundaries(table: pd.DataFrame, titles: Titles) -> Figure:
    figure, panels = panel_grid(2, columns=2, panel_height_in=0.8 + 0.35 * len(titles))
    for axes, name in zip(panels, ("onset", "offset"), strict=True):
        errors = [
            1000 * table.loc[table["detector"] == one, f"{name}_error_s"].to_numpy()
            for one in titles
        ]
        axes.boxplot(
            errors,
            orientation="horizontal",
            whis=(5, 95),
            showfliers=False,
            tick_labels=list(titles.values()),
        )
        axes.axvline(0, color="0.6", linewidth=1)
        axes.invert_yaxis()
        axes.set_xlabel(f"{name.capitalize()} error (ms)")
    return figure


def _learning(curves: Tables) -> Figure:
    figure = new_figure(WIDTH_IN * 0.7, 2.8)
    axes = figure.subplots()
    for index, (title, curve) in enumerate(curves.items()):
        style = series_style(index)
        rounds = np.arange(1, len(curve) + 1)
        axes.plot(
            rounds,
            curve["val_average_precision"],
            color=style.color,
            marker=style.marker,
            label=title,
        )
    axes.set(xlabel="Round", ylabel="Average precision (val)", ylim=(0, 1.02))
    axes.legend(loc="lower right", fontsize=8)
    return figure
