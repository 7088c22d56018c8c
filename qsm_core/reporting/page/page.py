"""Render a page: sections of sentences, figures, tables and sounds become one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import TypeVar

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from qsm_core.reporting.page.sections import FigureView, Section
from qsm_core.reporting.page.table_view import TableView

_TEMPLATE = "report.html.jinja"
_STYLE = "report.css"
_View = TypeVar("_View", FigureView, TableView)


def render_page(
    title: str,
    sections: Sequence[Section],
    *,
    tables: Mapping[str, TableView | None],
    figures: Mapping[str, FigureView],
    footer: str,
) -> str:
    """Return the HTML of a page. All text is escaped; sections without content are left out.

    Args:
        title: Heading.
        sections: In the order of reading.
        tables: By the names that sections use; None is left out.
        figures: By the names that sections use.
        footer: Last sentence.

    Raises:
        ValueError: A section names a table or figure that does not exist.
    """
    folder = files("qsm_core.reporting.page")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    template = environment.from_string(folder.joinpath(_TEMPLATE).read_text(encoding="utf-8"))
    style = Markup(folder.joinpath(_STYLE).read_text(encoding="utf-8"))  # noqa: S704  # our own file
    whole = [_with_views(section, tables, figures) for section in sections]
    shown = [section for section in whole if not section.empty]
    return template.render(title=title, sections=shown, footer=footer, css=style)


def _with_views(
    section: Section, tables: Mapping[str, TableView | None], figures: Mapping[str, FigureView]
) -> Section:
    """Return the section with figures and tables in the place of their names."""
    return replace(
        section,
        figures=_views(section.figures, figures, f"section {section.name}: figure"),
        tables=_views(section.tables, tables, f"section {section.name}: table"),
        folded=_views(section.folded, tables, f"section {section.name}: table"),
    )


def _views(
    wanted: Sequence[str | _View], known: Mapping[str, _View | None], place: str
) -> list[_View]:
    views = []
    for name_or_view in wanted:
        if isinstance(name_or_view, str):
            if name_or_view not in known:
                names = ", ".join(known) or "none"
                problem = f"{place} {name_or_view!r} is not in the report, which has: {names}"
                raise ValueError(problem)
            view = known[name_or_view]
        else:
            view = name_or_view
        if view is not None:
            views.append(view)
    return views
