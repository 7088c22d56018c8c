"""The page: sections of sentences, figures, tables and sounds, rendered to one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from qsm_core.reporting.page.images import inline_svg
from qsm_core.reporting.page.table_view import TableView

_TEMPLATE = "report.html.jinja"
_STYLE = "report.css"


@dataclass(frozen=True)
class FigureView:
    """A figure of the page: `svg` is the element itself."""

    name: str
    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Tile:
    """One headline number."""

    title: str
    value: str
    detail: str


@dataclass(frozen=True)
class SoundView:
    """A clip that can be heard: sound and picture are data URIs."""

    title: str
    text: str
    sound: str
    picture: str
    picture_alt: str
    length: str


@dataclass(frozen=True)
class Section:
    """One part of the page; `folded` tables are closed until a reader opens them.

    Sentences that belong together are paragraphs (`abstract`), others a list (`sentences`).
    """

    name: str
    title: str
    abstract: Sequence[str] = ()
    sentences: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    figures: Sequence[FigureView] = ()
    tables: Sequence[TableView] = ()
    folded: Sequence[TableView] = ()
    sounds: Sequence[SoundView] = ()
    terms: Sequence[tuple[str, str]] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(
            (
                self.abstract,
                self.sentences,
                self.tiles,
                self.figures,
                self.tables,
                self.folded,
                self.sounds,
                self.terms,
            )
        )


@dataclass(frozen=True)
class Page:
    """Title and sections, in the order of reading."""

    title: str
    sections: Sequence[Section]


def figure_view(name: str, title: str, caption: str, *, svg: str, alt: str) -> FigureView:
    """Return a figure for the page; its SVG is our own drawing, so it is not escaped."""
    element = inline_svg(svg, name=name, alt=alt)
    return FigureView(name, title, caption, Markup(element))  # noqa: S704  # drawn by ourselves


def render_page(page: Page) -> str:
    """Return the HTML of a page. All text is escaped; empty sections are left out."""
    folder = files("qsm_core.reporting.page")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    template = environment.from_string(folder.joinpath(_TEMPLATE).read_text(encoding="utf-8"))
    style = Markup(folder.joinpath(_STYLE).read_text(encoding="utf-8"))  # noqa: S704  # our own file
    shown = [section for section in page.sections if not section.empty]
    values: Mapping[str, object] = {"page": Page(page.title, shown), "css": style}
    return template.render(values)
