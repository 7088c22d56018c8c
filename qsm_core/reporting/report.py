"""The stage "report": one self-contained page, figures, tables and results.json.

Inputs (any subset with one evaluation at least): `eval_base`, `eval_lora`, `eval_base_opro`,
`eval_lora_opro` or any other `eval_<name>`; `opro_base`, `opro_lora`; `train_lora`; `corpus`
(only its cards are read).

Output: `report.html`, `results.json`, `tables/*.csv`, `figures/*.svg`, `figures/*.png`, and
`pieces/` for Prefect (see `reporting.pieces`).

Run alone: `python -m qsm_core.reporting.report --spec spec.json`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.evaluation.metrics import to_json_values
from qsm_core.evaluation.settings import BootstrapSettings
from qsm_core.reporting.gallery import draw_all
from qsm_core.reporting.gaps import DevTestGap, dev_test_gaps
from qsm_core.reporting.markdown import (
    conditions_rows,
    instructions_markdown,
    picture_markdown,
    results_markdown,
    results_rows,
)
from qsm_core.reporting.page import render_page
from qsm_core.reporting.pieces import Pieces, write_pieces
from qsm_core.reporting.results import Results, compute_results
from qsm_core.reporting.sections import ReportContent, build_page
from qsm_core.reporting.sources import Sources, read_sources
from qsm_core.reporting.stage_records import stage_records, versions_and_commit
from qsm_core.reporting.tables import (
    comparisons_table,
    conditions_table,
    dimensions_table,
    results_table,
)
from qsm_core.store.context import StageContext, parse_config
from qsm_core.store.entry import run_entry


@dataclass(frozen=True)
class ReportConfig:
    """What a report is called and where its numbers come from.

    Attributes:
        title: Heading of the page.
        seed: Root of the resampling.
        num_resamples: Resamples of the bootstrap and permutations of the tests.
        confidence: Of all intervals.
        provenance: More JSON values to show, beside what the inputs' manifests say. `stages`
            (a list of flat objects) takes the place of what was found.
    """

    title: str = "Speech detection with an audio language model"
    seed: int = 0
    num_resamples: int = 10_000
    confidence: float = 0.95
    provenance: dict[str, Any] = field(default_factory=dict)


def run(context: StageContext) -> dict[str, Any]:
    """Make the report; returns the headline numbers of each system.

    Raises:
        DataError: An input is missing or damaged, or the systems answered different clips.
    """
    config = parse_config(ReportConfig, context.config)
    context.report(0, 4, "reading the evaluations")
    sources = read_sources(context.inputs)
    context.report(1, 4, "computing intervals and comparisons")
    settings = BootstrapSettings(config.num_resamples, config.confidence, config.seed)
    results = compute_results(sources.systems, settings)
    gaps = dev_test_gaps(sources.searches, results)
    context.report(2, 4, "drawing")
    tables = _tables(results, sources)
    drawings = draw_all(
        context.out / "figures",
        results=tables["results"],
        conditions=tables["conditions"],
        titles=results.titles,
        searches=sources.searches,
        trainings=sources.trainings,
    )
    context.report(3, 4, "writing")
    _write_tables(context.out / "tables", tables)
    provenance = _provenance(config, context.inputs)
    summary = results_json(results, gaps, config.title, provenance)
    _write_json(context.out / "results.json", summary)
    content = ReportContent(
        title=config.title,
        results=results,
        gaps=gaps,
        sources=sources,
        conditions=tables["conditions"],
        drawings=drawings,
        provenance=provenance,
    )
    (context.out / "report.html").write_text(render_page(build_page(content)), encoding="utf-8")
    write_pieces(context.out, _pieces(content))
    context.report(4, 4, "report written")
    return _headline(results)


def results_json(
    results: Results, gaps: list[DevTestGap], title: str, provenance: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that the report says in numbers as JSON values; NaN becomes null."""
    values: dict[str, Any] = to_json_values(
        {
            "title": title,
            "systems": {
                name: {"title": results.titles[name], **metrics.to_json()}
                for name, metrics in results.metrics.items()
            },
            "comparisons": comparisons_table(results).to_dict("records"),
            "instructions": [vars(gap) for gap in gaps],
            "provenance": provenance,
        }
    )
    return values


def _provenance(config: ReportConfig, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Join what the inputs' manifests say and what the configuration says; the latter wins."""
    settings = {
        "bootstrap": {
            "resamples": config.num_resamples,
            "seed": config.seed,
            "confidence": config.confidence,
        }
    }
    found = {"stages": stage_records(inputs), **settings, **versions_and_commit(inputs)}
    return {**found, **config.provenance}


def _pieces(content: ReportContent) -> Pieces:
    pictures = {
        name: picture_markdown(drawing.view.title, drawing.png, drawing.alt)
        for name, drawing in content.drawings.items()
    }
    return Pieces(
        summary=results_markdown(content.results, content.gaps),
        instructions=instructions_markdown(content.results, content.gaps),
        results=results_rows(content.results),
        conditions=conditions_rows(content.conditions, content.results.titles),
        pictures=pictures,
    )


def _tables(results: Results, sources: Sources) -> dict[str, pd.DataFrame]:
    tables = {
        "results": results_table(results),
        "conditions": conditions_table(results, sources.systems[0].predictions),
        "dimensions": dimensions_table(results),
        "comparisons": comparisons_table(results),
    }
    tables |= {f"candidates_{one.name}": one.candidates for one in sources.searches}
    for one in sources.trainings:
        name = "".join(c if c.isalnum() else "_" for c in one.title.lower())
        tables[f"training_log_{name}"] = one.log
    return tables


def _write_tables(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        if len(table.columns):
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _headline(results: Results) -> dict[str, Any]:
    values: dict[str, Any] = to_json_values(
        {
            "best": results.best,
            "systems": {
                name: {"ba_clip": metrics.ba_clip, "ba_conditions": metrics.ba_conditions}
                for name, metrics in results.metrics.items()
            },
        }
    )
    return values


if __name__ == "__main__":
    run_entry(run)
