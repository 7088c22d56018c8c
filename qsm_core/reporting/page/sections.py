"""The parts of a page: sections of sentences, headline numbers, figures, tables and sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from qsm_core.reporting.page.table_view import TableView

# Stands above terms that end in the title of a section of docs/methods.md, in brackets.
METHODS_NOTE = Markup(
    'In brackets: the section of <a href="methods.md">methods.md</a>, which has formulas, '
    "references and when not to use a number. It lies beside the page in the folder of results, "
    "and in <code>docs/</code> of the program."
)


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
    """A sound with a player: sound and picture are data URIs.

    Attributes:
        title: Heading.
        text: Below the player.
        label: Of the player, for a screen reader.
        sound: What is played.
        picture: Its spectrogram.
        picture_alt: What is to be seen, in words.
        length: The right end of the picture, such as "2 s".
        highest: The upper end of the picture, such as "8 kHz".
    """

    title: str
    text: str
    label: str
    sound: str
    picture: str
    picture_alt: str
    length: str
    highest: str


@dataclass(frozen=True)
class TextView:
    """A text that is shown exactly as it is, line by line, closed until a reader opens it.

    Attributes:
        title: Heading.
        text: Above it.
        raw: The text itself.
    """

    title: str
    text: str
    raw: str


@dataclass(frozen=True)
class Section:
    """One part of the page, in the order in which it is shown.

    Attributes:
        name: Anchor; unique on the page.
        title: Heading.
        abstract: Paragraphs.
        tiles: Headline numbers.
        figures: Names of figures of the report.
        sentences: A list of sentences.
        sounds: With a player each.
        texts: Shown as they are.
        tables: Names of tables of the report, or tables that only the page has.
        folded: The same, closed until a reader opens them.
        terms_note: A paragraph above the terms.
        terms: Words that the page uses, and what they mean.
    """

    name: str
    title: str
    abstract: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    figures: Sequence[str | FigureView] = ()
    sentences: Sequence[str] = ()
    sounds: Sequence[SoundView] = ()
    texts: Sequence[TextView] = ()
    tables: Sequence[str | TableView] = ()
    folded: Sequence[str | TableView] = ()
    terms_note: str = ""
    terms: Sequence[tuple[str, str]] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not any(
            (
                self.abstract,
                self.tiles,
                self.figures,
                self.sentences,
                self.sounds,
                self.texts,
                self.tables,
                self.folded,
                self.terms,
            )
        )
