"""The pieces of the report on the speech system that a flow shows, except figures."""

from __future__ import annotations

from qsm_core.evaluation.instruction_gains.tables import GAINS, TRANSFER
from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.markdown import plain, text_markdown, view_markdown
from qsm_core.reporting.page.pieces import SUMMARY, Pieces, Table, Text
from qsm_core.reporting.page.table_view import TableView
from qsm_core.reporting.speech.abstract import abstracts
from qsm_core.reporting.speech.content import CONTROLS_OF, ReportContent
from qsm_core.reporting.speech.prompt_tables import gain_sentences

# Columns of the results that a terminal shows, with their headings there.
_ON_TERMINAL = {
    "System": "System",
    "Balanced accuracy, clips": "Clips",
    "Balanced accuracy, conditions": "Conditions",
    "AUROC": "AUROC",
    "Clips: difference": "Clips, difference",
}


def report_pieces(content: ReportContent) -> Pieces:
    """Return the pieces of the report."""
    return Pieces(
        texts={
            SUMMARY: Text("What was found, in words", summary_markdown(content)),
            "instructions": Text(
                "The winning instructions, and the instruction of each system",
                instructions_markdown(content),
            ),
        },
        tables={
            "results": _table(content, "results", "Every system on the test clips"),
            "results-by-condition": _table(
                content, "conditions", "Balanced accuracy in every condition, in per cent"
            ),
        },
        terminal_tables={"results": _short_results(content)},
        sentences={"gains": tuple(_gains(content))},
    )


def summary_markdown(content: ReportContent) -> str:
    """Return the abstract, the results table and what was chosen on dev."""
    paragraphs = [" ".join(sentences) for sentences in abstracts(content.sources)]
    views = _views(content, "results", "gaps")
    return text_markdown("Summary", [*paragraphs, *_gains(content)], views)


def instructions_markdown(content: ReportContent) -> str:
    """Return the winning instructions, each as a quotation, and that of every system."""
    parts = ["## Winning instructions"]
    searches = content.sources.searches
    parts += [f"{plain(search.title)}:\n\n> {plain(search.instruction)}" for search in searches]
    if not searches:
        parts.append("No instruction was searched for.")
    controls = [f"{CONTROLS_OF}{search.model}" for search in searches]
    views = _views(content, GAINS, TRANSFER, *controls, "gaps", "instructions")
    return "\n\n".join([*parts, *map(plain, _gains(content)), *map(view_markdown, views)]) + "\n"


def _short_results(content: ReportContent) -> Table:
    """Return the columns of the results that fit into a terminal."""
    results = content.tables["results"]
    records = [] if results.view is None else results.view.records()
    rows = []
    for system, record in zip(results.numbers["system"], records, strict=True):
        if not System.read(system).calibrated:
            row = {heading: record[name] for name, heading in _ON_TERMINAL.items()}
            rows.append(row | {"AUROC": row["AUROC"].split(" [")[0]})
    return Table("Balanced accuracy on test in per cent, with 95 % intervals", tuple(rows))


def _gains(content: ReportContent) -> list[str]:
    prompts = content.sources.prompts
    return [] if prompts is None else gain_sentences(prompts.gains)


def _table(content: ReportContent, name: str, title: str) -> Table:
    view = content.tables[name].view
    return Table(title, () if view is None else view.records())


def _views(content: ReportContent, *names: str) -> list[TableView]:
    tables = [content.tables[name] for name in names if name in content.tables]
    return [table.view for table in tables if table.view is not None and not table.empty]
