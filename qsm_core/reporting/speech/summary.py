"""What Prefect shows of a report: markdown with pictures as data URIs, and lists of flat rows.

Rows of one table have equal keys and only text, because the page shows nothing at all where a NaN
or an infinity stands.
"""

from __future__ import annotations

from typing import Any

from qsm_core.reporting.page.markdown import picture_markdown, plain, view_markdown
from qsm_core.reporting.page.pieces import Pieces
from qsm_core.reporting.speech.content import CONTROLS_OF, ReportContent
from qsm_core.reporting.speech.prompt_tables import gain_sentences
from qsm_core.reporting.speech.sentences import abstracts


def make_pieces(content: ReportContent) -> Pieces:
    """Return everything that Prefect shows of a report."""
    pictures = {
        name: picture_markdown(drawing.view.title, drawing.png, drawing.alt)
        for name, drawing in content.drawings.items()
    }
    return Pieces(
        summary=summary_markdown(content),
        instructions=instructions_markdown(content),
        results=_records(content, "results"),
        conditions=_records(content, "conditions"),
        pictures=pictures,
        gains=tuple(_gains(content)),
    )


def summary_markdown(content: ReportContent) -> str:
    """Return the abstract, the results table and what was chosen on dev."""
    sources = content.sources
    parts = [
        "## Summary",
        "\n\n".join(" ".join(map(plain, told)) for told in abstracts(sources)),
        *map(plain, _gains(content)),
        *_views(content, "results", "gaps"),
    ]
    return "\n\n".join(parts) + "\n"


def instructions_markdown(content: ReportContent) -> str:
    """Return the winning instructions, each as a quotation, and what every system was asked."""
    parts = ["## Winning instructions"]
    searches = content.sources.searches
    parts += [f"{plain(one.title)}:\n\n> {plain(one.instruction)}" for one in searches]
    if not searches:
        parts.append("No instruction was searched for.")
    controls = [f"{CONTROLS_OF}{one.model}" for one in searches]
    tables = ("search_gains", "prompt_transfer", *controls, "gaps", "instructions")
    return "\n\n".join([*parts, *map(plain, _gains(content)), *_views(content, *tables)]) + "\n"


def _gains(content: ReportContent) -> list[str]:
    prompts = content.sources.prompts
    return [] if prompts is None else gain_sentences(prompts.gains)


def _records(content: ReportContent, name: str) -> list[dict[str, Any]]:
    view = content.tables[name].view
    return [] if view is None else [dict(row) for row in view.records()]


def _views(content: ReportContent, *names: str) -> list[str]:
    tables = [content.tables[name] for name in names if name in content.tables]
    return [view_markdown(one.view) for one in tables if one.view is not None and not one.empty]
