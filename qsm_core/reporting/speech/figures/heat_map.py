"""Heat map: the balanced accuracy of every system in every condition as shaded cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from qsm_core.reporting.page.canvas import (
    FloatArray,
    Titles,
    new_figure,
    row_height_in,
    wrapped,
)
from qsm_core.reporting.page.style import INK

# Steps instead of a smooth scale, which matplotlib would store as a raster image.
_LEVELS = list(range(40, 101, 5))
_DARK_BELOW = 72
_MOST_COLUMNS = 26
_GAP = 0.35


def heat_map(conditions: pd.DataFrame, titles: Titles) -> Figure:
    """Draw one row a system and one column a condition; many conditions become the rows instead.

    Args:
        conditions: Rows of the table `conditions` of an analysis with the metric ba, without the
            means over dimensions.
        titles: By system, in order.
    """
    keys = list(dict.fromkeys(conditions["condition"]))
    wide = conditions.pivot_table(
        index="system", columns="condition", values="value", sort=False, dropna=False
    ).reindex(index=list(titles), columns=keys)
    values = 100 * wide.to_numpy(dtype=np.float64)
    starts = _starts(conditions, keys)
    colors = ScalarMappable(BoundaryNorm(_LEVELS, 256, clip=True), "cividis")
    tall = len(keys) > _MOST_COLUMNS
    figure = _tall(values, starts) if tall else _wide(values, starts, titles)
    axes = figure.axes[0]
    rows = np.arange(len(titles), dtype=np.float64)
    for (row, column), value in np.ndenumerate(values):
        place = (float(row), float(starts[column]))
        corner = place if tall else place[::-1]
        _draw_cell(axes, corner, value, colors)
    names = [short_name(key) for key in keys]
    shown = [wrapped(title) for title in titles.values()]
    slanted: dict[str, Any] = {"rotation": 55, "ha": "right", "rotation_mode": "anchor"}
    axes.tick_params(length=0)
    if tall:
        axes.set_xticks(rows + 0.5, shown, **slanted)
        axes.set_yticks(starts + 0.5, names, fontsize=8)
    else:
        axes.set_xticks(starts + 0.5, names, **slanted)
        axes.set_yticks(rows + 0.5, shown)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(
        colors,
        ax=axes,
        label="balanced accuracy (%)",
        pad=0.015,
        aspect=14,
        shrink=min(1.0, 3.2 / figure.get_figheight()),
        ticks=_LEVELS[::2],
    )
    bar.outline.set_visible(False)
    return figure


def short_name(key: str) -> str:
    """Return a condition's key as it stands at an axis: `dur_20ms` becomes `20ms`."""
    text = key.replace("_", " ").replace("dur ", "").replace("snr ", "SNR ")
    return text.replace("-", "\N{MINUS SIGN}")


def _wide(values: FloatArray, starts: FloatArray, titles: Titles) -> Figure:
    width = max(5.0, 2.6 + 0.4 * float(starts[-1] + 1))
    # 2.6 inches are room for the label of the scale, however few the systems.
    figure = new_figure(width, max(2.6, 1.25 + max(0.36, row_height_in(titles)) * len(values)))
    axes = figure.add_subplot()
    axes.set_xlim(0, starts[-1] + 1)
    axes.set_ylim(len(values), 0)
    return figure


def _tall(values: FloatArray, starts: FloatArray) -> Figure:
    width = max(5.0, 2.4 + 0.44 * len(values))
    figure = new_figure(width, 1.7 + 0.215 * float(starts[-1] + 1))
    axes = figure.add_subplot()
    axes.set_xlim(0, len(values))
    axes.set_ylim(starts[-1] + 1, 0)
    return figure


def _draw_cell(
    axes: Axes, corner: tuple[float, float], value: float, colors: ScalarMappable
) -> None:
    x, y = float(corner[0]), float(corner[1])
    known = bool(np.isfinite(value))
    face = colors.to_rgba(np.asarray(value)) if known else "none"
    edge = "none" if known else INK
    axes.add_patch(Rectangle((x, y), 0.97, 0.95, facecolor=face, edgecolor=edge, linewidth=0.5))
    color = ("#ffffff" if value <= _DARK_BELOW else "#000000") if known else INK
    text = f"{value:.0f}" if known else "?"
    axes.text(x + 0.485, y + 0.475, text, ha="center", va="center", color=color, fontsize=8)


def _starts(conditions: pd.DataFrame, keys: Sequence[str]) -> FloatArray:
    """Return where each condition's cells start, with a gap between dimensions."""
    dimension = conditions.drop_duplicates("condition").set_index("condition")["dimension"]
    names = [str(dimension[key]) for key in keys]
    changes = [0, *(int(a != b) for a, b in pairwise(names))]
    return np.arange(len(keys)) + _GAP * np.cumsum(changes)
