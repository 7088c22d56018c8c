"""The stage "report"; `reporting.page.report` describes the files.

Inputs: `analysis` (all numbers, see `evaluation.analysis`); `opro_<model>` and `train_<model>` for
each search and training of the configuration; and any of `eval_<system>` for the systems of the
analysis (what each was asked), `instructions` (what searches are worth, see
`evaluation.instruction_gains`), `corpus` and `rirs` (cards, and the sound of the hardest clips).

Run alone: `python -m qsm_core.reporting.speech.report --spec spec.json`
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pandas as pd

from qsm_core.evaluation.instruction_gains.tables import GAINS, TRANSFER
from qsm_core.json_values import to_json_values
from qsm_core.reporting.page.report import Report, write_report
from qsm_core.reporting.page.run_card import run_card
from qsm_core.reporting.speech.abstract import abstracts, first_system
from qsm_core.reporting.speech.clip_prompts import CLIP_PROMPTS
from qsm_core.reporting.speech.config import ReportConfig
from qsm_core.reporting.speech.content import ReportContent, report_tables
from qsm_core.reporting.speech.gallery import report_figures
from qsm_core.reporting.speech.hardest_clips import hardest_clips
from qsm_core.reporting.speech.sections import report_sections
from qsm_core.reporting.speech.side_by_side import side_by_side
from qsm_core.reporting.speech.sources import read_sources
from qsm_core.reporting.speech.summary import report_pieces
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

_FOOTER = (
    "Made by qsm from the stored predictions of the systems. Every number here can be computed "
    "again from them without a model or a GPU."
)


def run(context: StageContext) -> dict[str, Any]:
    """Make the report; returns the headline numbers of each system.

    Raises:
        DataError: An input is missing or damaged.
    """
    config = parse_config(ReportConfig, context.config)
    context.report(0, 3, "reading the analysis")
    sources = read_sources(context.inputs, searches=config.searches, trainings=config.trainings)
    context.report(1, 3, "hearing the hardest clips")
    hardest = hardest_clips(
        sources.analysis.clips,
        corpus=context.inputs.get("corpus"),
        rirs=context.inputs.get("rirs"),
        settings=config.render,
        conditions=config.conditions,
    )
    context.report(2, 3, "drawing")
    tables = report_tables(sources)
    content = ReportContent(sources, tables, report_figures(sources), hardest)
    settings = {"analysis": vars(sources.analysis.settings.bootstrap), **config.provenance}
    report = Report(
        title=config.title,
        sections=report_sections(content),
        tables=tables,
        figures=content.figures,
        pieces=report_pieces(content),
        results=results_values(config.title, content),
        run_card=side_by_side(sources, context.inputs)
        | run_card(context.inputs, settings, [CLIP_PROMPTS]),
        footer=_FOOTER,
    )
    write_report(context.out, report)
    context.report(3, 3, "report written")
    return _headline(tables["results"].numbers)


def results_values(title: str, content: ReportContent) -> dict[str, Any]:
    """Return the headline tables as values of results.json."""
    sources = content.sources

    def rows(*names: str) -> dict[str, list[dict[Hashable, Any]]]:
        return {
            name: content.tables[name].numbers.to_dict("records")
            for name in names
            if name in content.tables
        }

    return {
        "title": title,
        "abstract": abstracts(sources),
        **rows("results", "comparisons", "thresholds", "gaps", "operating_points"),
        "instructions": dict(sources.instructions),
        **rows(GAINS, TRANSFER),
    }


def _headline(results: pd.DataFrame) -> dict[str, Any]:
    values: dict[str, Any] = to_json_values(
        {
            "best": first_system(results),
            "systems": {
                row["system"]: {name: row[name] for name in ("ba_clip", "ba_conditions")}
                for row in results.to_dict("records")
            },
        }
    )
    return values


if __name__ == "__main__":
    run_entry(run)
