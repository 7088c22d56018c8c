"""Write a report: one self-contained page, its tables and figures as files, and its pieces.

Below the folder of a report lie `results.json`, `tables/` (CSV, Parquet, LaTeX, Markdown),
`figures/` (SVG, PNG), `pieces/` for a flow (see `pieces`), `volatile/report.html` and
`volatile/run_card.json`. What is volatile says where, when and at what cost the inputs were made,
so it may differ between two equal reports; the rest may not.

The shortest report is in `tests/qsm_core/reporting/page/test_report.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qsm_core.json_values import to_json_values
from qsm_core.reporting.page.drawings import Drawing, ReportFigure, draw_figures
from qsm_core.reporting.page.exports import ReportTable, write_tables
from qsm_core.reporting.page.page import render_page
from qsm_core.reporting.page.pieces import PAGE, Pieces, write_pieces
from qsm_core.reporting.page.sections import Section
from qsm_core.store.layout import VOLATILE_FOLDER


@dataclass(frozen=True)
class Report:
    """A report before it is written.

    Attributes:
        title: Heading of the page.
        sections: Of the page, in the order of reading; they name tables and figures.
        tables: By name, which their files have as well.
        figures: By name, which their files have as well; each is also a picture for the flow.
        pieces: What a flow shows beside the pictures.
        results: JSON values for programs that read the report; NaN becomes null.
        run_card: Tables that say where, when and at what cost (see `run_card`). The page shows
            them; their files are volatile.
        footer: Last sentence of the page.
    """

    title: str
    sections: Sequence[Section]
    tables: Mapping[str, ReportTable] = field(default_factory=dict)
    figures: Mapping[str, ReportFigure] = field(default_factory=dict)
    pieces: Pieces = field(default_factory=Pieces)
    results: Mapping[str, Any] = field(default_factory=dict)
    run_card: Mapping[str, ReportTable] = field(default_factory=dict)
    footer: str = "Made by qsm."


def write_report(out: Path, report: Report) -> None:
    """Write a report into the folder of a stage's output.

    Raises:
        ValueError: A section names a table or figure that the report does not have.
    """
    drawings = draw_figures(out / "figures", report.figures)
    write_tables(out / "tables", report.tables)
    _write_json(out / "results.json", report.results)
    pictures = {name.replace("_", "-"): drawing.picture for name, drawing in drawings.items()}
    write_pieces(out, replace(report.pieces, pictures=pictures))
    (out / VOLATILE_FOLDER).mkdir(exist_ok=True)
    (out / PAGE).write_text(_page(report, drawings), encoding="utf-8")
    card = {name: table.numbers.to_dict("records") for name, table in report.run_card.items()}
    _write_json(out / VOLATILE_FOLDER / "run_card.json", card)


def _page(report: Report, drawings: Mapping[str, Drawing]) -> str:
    tables = {**report.tables, **report.run_card}
    return render_page(
        report.title,
        report.sections,
        tables={name: None if table.empty else table.view for name, table in tables.items()},
        figures={name: drawing.view for name, drawing in drawings.items()},
        footer=report.footer,
    )


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(to_json_values(values), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
