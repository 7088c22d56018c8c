"""How figures look: one palette, one ink, small enough for a report and for Prefect.

Colours are Paul Tol's "bright" set, told apart with any colour vision; every series has its own
marker and dash as well, so a grey print stays readable. Figures have no background: in the
report they stand on the page's own, and `INK` is replaced by the page's text colour there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

INK = "#33363d"
GRID = "#8c919b"


@dataclass(frozen=True)
class SeriesStyle:
    """Colour, marker and dash of one series."""

    color: str
    marker: str
    dash: str


SERIES = (
    SeriesStyle("#4477aa", "o", "-"),
    SeriesStyle("#ee6677", "s", "--"),
    SeriesStyle("#228833", "^", "-."),
    SeriesStyle("#aa3377", "D", "-"),
    SeriesStyle("#cc7a1f", "v", "--"),
    SeriesStyle("#2a9db5", "P", ":"),
    SeriesStyle("#7a7a7a", "X", "-."),
)

# Any: the stubs list every setting's name as a literal.
_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "text.color": INK,
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
    "figure.constrained_layout.use": True,
    # Words stay words: they can be searched and read aloud, and the file is small.
    "svg.fonttype": "none",
}


def series_style(index: int) -> SeriesStyle:
    """Return the style of the series at `index`; after the last one they start again."""
    return SERIES[index % len(SERIES)]


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw with these settings and leave the ones of other code as they were."""
    with mpl.rc_context(_SETTINGS):
        yield
