"""The figures of damaged weights: response by level, by relative norm, and right answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from qsm_core.perturbation.cells import CLEAN
from qsm_core.reporting.page.canvas import WIDTH_IN, dotted_line, new_figure, panel_grid, wrapped
from qsm_core.reporting.page.drawings import ReportFigure
from qsm_core.reporting.page.formatting import decimal
from qsm_core.reporting.page.style import series_style

_COUNTED = ("uni_quant", "quant_symmetric")
_INTERVALS = "Bars: 95 % intervals over draws of damage, where there are several."


def perturbation_figures(curves: pd.DataFrame, texts: pd.DataFrame) -> dict[str, ReportFigure]:
    """Return the figures by name.

    Args:
        curves: One row a run, condition and level (`perturbation.summary.curves`).
        texts: The same of each task.
    """
    damaged = curves[(curves["method"] != CLEAN) & (curves["level"] > 0)]
    figures = {}
    for method, part in damaged.groupby("method", sort=False):
        worst = next(iter(part.nlargest(1, "kl_mean").to_dict("records")), None)
        alt = (
            f"KL divergence and share of equal top-1 tokens against the level of {method}, "
            f"{part['condition'].nunique()} conditions"
        )
        if worst is not None:
            alt += (
                f"; largest divergence {decimal(worst['kl_mean'])} nats a token at level "
                f"{worst['level']:g} of {worst['condition']}"
            )
        figures[f"dose_{method}"] = ReportFigure(
            f"Response to {method}",
            "Left: divergence of the clean from the damaged model, mean over tokens, on a log "
            f"axis. Right: tokens whose likeliest successor is still the same. {_INTERVALS}",
            alt + ".",
            partial(_dose, part, str(method)),
        )
    known = damaged[damaged["relative_norm"] > 0]
    if len(known):
        figures["norm"] = ReportFigure(
            "All methods and groups against the size of the change",
            "The same divergence, against the norm of the change over the norm of the weights: "
            "what damages more than its size says lies above. Controls are dashed.",
            f"KL divergence against relative norm for {known['condition'].nunique()} conditions.",
            lambda: _norm(known),
        )
    scored = texts[texts["right"].notna()]
    if len(scored):
        figures["tasks"] = ReportFigure(
            "Right answers",
            f"Share of prompts that are answered rightly, by task. {_INTERVALS}",
            "Share of right answers against the level, a panel a condition: "
            f"{', '.join(scored['task'].unique())}.",
            lambda: _tasks(scored),
        )
    return figures


def _dose(part: pd.DataFrame, method: str) -> Figure:
    figure = new_figure(WIDTH_IN, 3.4)
    left, right = figure.subplots(1, 2)
    for index, (name, one) in enumerate(part.groupby(["run", "condition"], sort=False)):
        ordered = one.sort_values("level")
        label = _label(name, part)
        _curve(left, ordered, "kl_mean", index, label)
        _curve(right, ordered, "same_top1", index, label, scale=100)
    left.set_yscale("log")
    left.set(ylabel="KL divergence, nats a token")
    right.set(ylabel="Same top-1 token, %", ylim=(-3, 103))
    dotted_line(right, 50)
    for axes in (left, right):
        axes.set(xlabel="Values a tensor" if method in _COUNTED else "Level")
        if method in _COUNTED:
            axes.set_xscale("log", base=2)
            axes.invert_xaxis()
    left.legend(fontsize=7.5, loc="best")
    return figure


def _norm(known: pd.DataFrame) -> Figure:
    figure = new_figure(WIDTH_IN, 3.8)
    axes = figure.subplots()
    for index, (name, one) in enumerate(known.groupby(["run", "condition"], sort=False)):
        ordered = one.sort_values("relative_norm")
        is_control = str(name[1]).endswith(")")
        _curve(
            axes,
            ordered,
            "kl_mean",
            index,
            _label(name, known),
            x="relative_norm",
            dash="--" if is_control else "-",
        )
    axes.set(xscale="log", yscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel="Relative norm of the change", ylabel="KL divergence, nats a token")
    axes.legend(fontsize=7.5, loc="best")
    return figure


def _tasks(scored: pd.DataFrame) -> Figure:
    clean = scored[scored["condition"] == CLEAN]
    conditions = [one for one in scored["condition"].unique() if one != CLEAN] or [CLEAN]
    figure, panels = panel_grid(len(conditions), columns=3, panel_height_in=2.6)
    tasks = list(scored["task"].unique())
    for place, (axes, condition) in enumerate(zip(panels, conditions, strict=True)):
        part = scored[scored["condition"] == condition]
        for index, task in enumerate(tasks):
            start = clean[(clean["task"] == task) & clean["run"].isin(part["run"])]
            one = part[part["task"] == task]
            rows = pd.concat([start, one]) if condition != CLEAN else one
            _curve(axes, rows.sort_values("level"), "right", index, task, scale=100)
        axes.set(title=wrapped(condition), xlabel="Level", ylim=(-3, 103))
        axes.set_ylabel("Right, %" if place % 3 == 0 else "")
    panels[0].legend(fontsize=7.5, loc="best")
    return figure


def _curve(
    axes: Axes,
    rows: pd.DataFrame,
    name: str,
    index: int,
    label: str,
    *,
    x: str = "level",
    scale: float = 1.0,
    dash: str | None = None,
) -> None:
    style = series_style(index)
    values = scale * rows[name].to_numpy(dtype=float)
    ends = [scale * rows[f"{name}{end}"].to_numpy(dtype=float) for end in ("_low", "_high")]
    bars = np.nan_to_num(np.array([values - ends[0], ends[1] - values])).clip(0)
    axes.errorbar(
        rows[x],
        values,
        yerr=bars,
        color=style.color,
        marker=style.marker,
        linestyle=dash or style.dash,
        markersize=4,
        linewidth=1.3,
        elinewidth=0.8,
        capsize=2,
        label=label,
    )


def _label(name: Sequence[object], part: pd.DataFrame) -> str:
    run, condition = map(str, name)
    return condition if part["run"].nunique() == 1 else f"{run}: {condition}"
