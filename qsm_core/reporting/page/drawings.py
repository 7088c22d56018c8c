"""The figures of a report: described in words, drawn in one style, saved in all formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from qsm_core.reporting.page.images import inline_svg, save_figure
from qsm_core.reporting.page.markdown import picture_markdown
from qsm_core.reporting.page.pieces import Text
from qsm_core.reporting.page.sections import FigureView
from qsm_core.reporting.page.style import figure_style


@dataclass(frozen=True)
class ReportFigure:
    """A figure before it is drawn.

    Attributes:
        title: Heading.
        caption: Below it: how to read it.
        alt: What it shows, in words and numbers.
        draw: Draws it, in the style of the report.
    """

    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn and saved: as shown on the page, and as shown in Prefect."""

    view: FigureView
    picture: Text


def draw_figures(folder: Path, figures: Mapping[str, ReportFigure]) -> dict[str, Drawing]:
    """Draw each figure, save it into `folder` as SVG and PNG, and return them by name."""
    return {name: _drawn(folder, name, figure) for name, figure in figures.items()}


def _drawn(folder: Path, name: str, planned: ReportFigure) -> Drawing:
    with figure_style():
        figure = planned.draw()
    saved = save_figure(figure, folder, name)
    element = Markup(inline_svg(saved.svg, name=name, alt=planned.alt))  # noqa: S704  # our drawing
    return Drawing(
        FigureView(name, planned.title, planned.caption, element),
        Text(planned.title, picture_markdown(planned.title, saved.png, planned.alt)),
    )
