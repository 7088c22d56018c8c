"""Texts, tables and pictures as Markdown: for the files of a report and for Prefect's pages."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qsm_core.reporting.page.images import data_uri
from qsm_core.reporting.page.table_view import TableView


def text_markdown(heading: str, sentences: Iterable[str], views: Iterable[TableView] = ()) -> str:
    """Return a heading, paragraphs and tables."""
    parts = [f"## {plain(heading)}", *map(plain, sentences), *map(view_markdown, views)]
    return "\n\n".join(parts) + "\n"


def picture_markdown(title: str, png: bytes, alt: str) -> str:
    """Return a heading and a picture."""
    safe = alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"## {plain(title)}\n\n![{safe}]({data_uri(png)})\n"


def view_markdown(view: TableView) -> str:
    """Return a table with its caption and notes."""
    rule = ["---" if i in view.text_columns else "---:" for i in range(len(view.headers))]
    lines = [_row(view.headers), "| " + " | ".join(rule) + " |", *map(_row, view.rows)]
    parts = [f"*{plain(view.caption)}*", "\n".join(lines)]
    if view.notes:
        parts.append(_bullets(view.notes))
    return "\n\n".join(parts)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_whole(plain(cell)).replace("|", "\\|") for cell in cells) + " |"


def _whole(text: str) -> str:
    """Keep an interval such as [71.8, 84.7] on one line, however narrow its column is."""
    return re.sub(r"\[[^\[\]]*\]", lambda match: match[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def plain(text: str) -> str:
    """Return text with Markdown and HTML escaped, on one line."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in ("*", "_", "`"):
        line = line.replace(mark, "\\" + mark)
    return line
