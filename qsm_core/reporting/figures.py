"""The figures of the report. Tables in, matplotlib figures out; nothing is written here.

Tables are those of `reporting.tables`: rates are shares from 0 to 1 there and per cent here.
Figures are made without pyplot, so they hold no global state and need no display.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import pairwise
from typing import ParamSpec

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from qsm_core.reporting.style import GRID, INK, figure_style, series_style

FloatArray = npt.NDArray[np.float64]

_CHANCE = 50.0
# Steps instead of a smooth scale, which matplotlib would store as a raster image.
_HEAT_LEVELS = list(range(40, 101, 5))
_Arguments = ParamSpec("_Arguments")


def _styled(draw: Callable[_Arguments, Figure]) -> Callable[_Arguments, Figure]:
    """Draw a figure in the style of the report."""

    @wraps(draw)
    def inside(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Figure:
        with figure_style():
            return draw(*args, **kwargs)

    return inside


@_styled
def overview(results: pd.DataFrame) -> Figure:
    """Draw the balanced accuracy over clips of every system with its interval.

    Args:
        results: The results table, one row a system.
    """
    figure = _new_figure(7.2, 0.9 + 0.42 * len(results))
    axes = figure.add_subplot()
    for position, (_, row) in enumerate(results.iterrows()):
        style = series_style(position)
        value, low, high = (100 * row[f"ba_clip{end}"] for end in ("", "_low", "_high"))
        axes.plot([low, high], [position, position], color=style.color, solid_capstyle="round")
        axes.plot([value], [position], style.marker, color=style.color, markersize=7)
        text = f"{value:.1f}" if np.isfinite(value) else "not defined"
        axes.annotate(
            text, (1.01, position), xycoords=("axes fraction", "data"), va="center", fontsize=9
        )
    axes.axvline(_CHANCE, color=GRID, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(results)), list(results["title"]))
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.set_xlim(*_percent_limits(results[["ba_clip", "ba_clip_low", "ba_clip_high"]].to_numpy()))
    axes.set_xlabel("balanced accuracy over clips (%), 95 % interval; dotted: chance")
    axes.grid(axis="x")
    return figure


@_styled
def by_duration(conditions: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw balanced accuracy against clip duration on a logarithmic axis."""
    table = conditions[conditions["dimension"] == "duration"]
    figure = _new_figure(7.2, 3.9)
    axes = figure.add_subplot()
    _draw_curves(axes, table, "duration_ms", titles)
    levels = sorted(table["duration_ms"].dropna().unique())
    axes.set_xscale("log")
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("duration (ms, logarithmic)")
    return figure


@_styled
def by_snr(conditions: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw balanced accuracy against the signal-to-noise ratio."""
    table = conditions[conditions["dimension"] == "snr"]
    figure = _new_figure(7.2, 3.9)
    axes = figure.add_subplot()
    _draw_curves(axes, table, "snr_db", titles)
    axes.set_xticks(sorted(table["snr_db"].dropna().unique()))
    axes.set_xlabel("signal-to-noise ratio (dB)")
    return figure


@_styled
def condition_heat_map(conditions: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Draw the balanced accuracy of every system in every condition as shaded cells."""
    keys = list(dict.fromkeys(conditions["condition"]))
    wide = conditions.pivot_table(
        index="system", columns="condition", values="ba", sort=False, dropna=False
    ).reindex(index=list(titles), columns=keys)
    values = 100 * wide.to_numpy(dtype=np.float64)
    left = _cell_edges(conditions, keys)
    figure = _new_figure(max(5.0, 1.9 + 0.42 * left[-1]), 1.7 + 0.42 * len(titles))
    axes = figure.add_subplot()
    colors = ScalarMappable(BoundaryNorm(_HEAT_LEVELS, 256, clip=True), "cividis")
    for (row, column), value in np.ndenumerate(values):
        x, y = float(left[column]), float(row)
        face = colors.to_rgba(value) if np.isfinite(value) else "none"
        axes.add_patch(Rectangle((x, y), 0.97, 0.95, facecolor=face, edgecolor="none"))
        text = f"{value:.0f}" if np.isfinite(value) else "?"
        color = "#000000" if value > 72 else ("#ffffff" if np.isfinite(value) else INK)
        axes.text(x + 0.485, y + 0.475, text, ha="center", va="center", color=color, fontsize=8.5)
    axes.set_xticks(left + 0.5, _short_names(keys), rotation=60, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.set_yticks(np.arange(len(titles)) + 0.475, list(titles.values()))
    axes.set_xlim(0, left[-1] + 1)
    axes.set_ylim(len(titles), 0)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(colors, ax=axes, label="balanced accuracy (%)", pad=0.01, aspect=12)
    bar.outline.set_visible(False)
    return figure


@_styled
def search_curves(
    searches: Mapping[str, pd.DataFrame], score_name: str = "score on dev clips"
) -> Figure:
    """Draw the score of each candidate instruction and the best so far, one panel a search.

    Args:
        searches: By title: tables with `number`, `score` and `best_so_far`.
        score_name: What the score is, for the axis.
    """
    figure = _new_figure(7.2, 3.1)
    panels = figure.subplots(1, len(searches), sharey=True, squeeze=False)[0]
    for index, (axes, (title, table)) in enumerate(zip(panels, searches.items(), strict=True)):
        style = series_style(index)
        order = table["number"]
        axes.plot(order, table["score"], "o", color=style.color, alpha=0.55, label="candidate")
        axes.step(order, table["best_so_far"], where="post", color=style.color, label="best so far")
        axes.set_title(title)
        axes.set_xlabel("candidate, in the order of scoring")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
    panels[0].set_ylabel(score_name)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=9)
    return figure


@_styled
def training_loss(logs: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the training loss, and the dev loss where it was measured.

    Args:
        logs: By title of the training: columns `step`, `train_loss` and `dev_loss`.
    """
    figure = _new_figure(7.2, 3.1)
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
    axes.legend()
    return figure


def _new_figure(width: float, height: float) -> Figure:
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def _draw_curves(axes: Axes, table: pd.DataFrame, level: str, titles: Mapping[str, str]) -> None:
    for index, (system, title) in enumerate(titles.items()):
        rows = table[table["system"] == system].sort_values(level)
        style = series_style(index)
        x = rows[level].to_numpy(dtype=np.float64)
        low, high = (100 * rows[f"ba_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
        axes.fill_between(x, low, high, color=style.color, alpha=0.15, linewidth=0)
        axes.plot(
            x, 100 * rows["ba"], style.dash, marker=style.marker, color=style.color, label=title
        )
    axes.axhline(_CHANCE, color=GRID, linewidth=1, linestyle=":")
    axes.set_ylim(*_percent_limits(table[["ba", "ba_low", "ba_high"]].to_numpy()))
    axes.set_ylabel("balanced accuracy (%)")
    axes.grid()
    columns = len(titles) if sum(map(len, titles.values())) < 64 else 3
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, fontsize=9)


def _percent_limits(shares: np.ndarray) -> tuple[float, float]:
    """Return axis limits in per cent that hold all values and chance, in steps of five."""
    known = 100 * shares[np.isfinite(shares.astype(np.float64))].astype(np.float64)
    low = min(_CHANCE, *known) if len(known) else _CHANCE
    return max(0.0, 5 * np.floor((low - 1) / 5)), 101.0


def _cell_edges(conditions: pd.DataFrame, keys: Sequence[str]) -> FloatArray:
    """Return the left edge of each condition's column, with a gap between dimensions."""
    dimension = conditions.drop_duplicates("condition").set_index("condition")["dimension"]
    names = [str(dimension[key]) for key in keys]
    changes = [0, *(int(a != b) for a, b in pairwise(names))]
    return np.arange(len(keys)) + 0.35 * np.cumsum(changes)


def _short_names(keys: Sequence[str]) -> list[str]:
    return [key.replace("_", " ").replace("dur ", "").replace("snr ", "SNR ") for key in keys]
