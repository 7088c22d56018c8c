"""How figures look: one palette, one ink, small enough for a report and for Prefect.

Colours are Paul Tol's "bright" set, a little adjusted so that each stands out from white paper and
from a dark page; every series has its own marker and dash as well, so a grey print stays readable.
Figures have no background: in the report they stand on the page's own, and `INK` is replaced by
the page's text colour there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib as mpl

Dash = Literal["-", "--", "-.", ":"]

INK = "#33363d"
GRID = "#8c919b"


@dataclass(frozen=True)
class SeriesStyle:
    """Colour, marker and dash of one series."""

    color: str
    marker: str
    dash: Dash


_COLORS = ("#4477aa", "#ee6677", "#228833", "#b8488a", "#cc7a1f", "#2a9db5", "#7a7a7a")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")
_DASHES: tuple[Dash, ...] = ("-", "--", "-.", ":")
# The first number of series at which the combination of colour, marker and dash repeats.
NUM_STYLES = len(_COLORS) * len(_MARKERS)

# Any: the stubs list every setting's name as a literal.
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    # Text stays text: it can be searched and read aloud, and the file is small.
    "svg.fonttype": "none",
}


def series_style(index: int) -> SeriesStyle:
    """Return the style of the series at `index`; no two of the first 70 are the same."""
    return SeriesStyle(
        _COLORS[index % len(_COLORS)],
        _MARKERS[index % len(_MARKERS)],
        _DASHES[index % len(_DASHES)],
    )


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with these settings, without changing those of other code."""
    with mpl.rc_context(_SETTINGS):
        yield
