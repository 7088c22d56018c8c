"""The stage "report": one self-contained page, figures, tables and results.json.

Inputs: `analysis` (all numbers, see `evaluation.analysis`); `opro_<model>` and `train_<model>` for
each search and training of the configuration; and any of `eval_<system>` for the systems of the
analysis (what each was asked), `instructions` (what searches are worth, see
`evaluation.instruction_gains`), `corpus` and `rirs` (cards, and the sound of the hardest clips).

Output: `results.json`, `tables/*` (CSV, Parquet, LaTeX, Markdown), `figures/*.svg`,
`figures/*.png`, `pieces/` for Prefect (see `reporting.pieces`), `volatile/report.html` and
`volatile/run_card.json`. What is volatile says where, when and at what cost the inputs were made,
so it may differ between two equal runs; the rest may not.

Run alone: `python -m qsm_core.reporting.speech.report --spec spec.json`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.evaluation.analysis.metrics import to_json_values
from qsm_core.evaluation.instruction_gains.tables import GAINS, TRANSFER
from qsm_core.reporting.page.exports import ReportTable, write_tables
from qsm_core.reporting.page.page import render_page
from qsm_core.reporting.page.pieces import PAGE, write_pieces
from qsm_core.reporting.page.run_card import cost_table, read_manifests, stages_table, versions
from qsm_core.reporting.page.table_view import frame_view, record_view
from qsm_core.reporting.speech.config import ReportConfig
from qsm_core.reporting.speech.content import ReportContent, report_tables
from qsm_core.reporting.speech.gallery import draw_all
from qsm_core.reporting.speech.hardest import hardest_clips
from qsm_core.reporting.speech.sections import build_page
from qsm_core.reporting.speech.sentences import abstracts, first_system
from qsm_core.reporting.speech.sources import Sources, read_sources
from qsm_core.reporting.speech.summary import make_pieces
from qsm_core.reporting.speech.tables import flat_table
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.layout import VOLATILE_FOLDER

_COST_HEADERS = {
    "input": "Output",
    "stage": "Stage",
    "seconds": "Seconds",
    "gpu_seconds": "GPU-seconds",
    "cpu_seconds": "CPU-seconds",
    "peak_memory_mib": "Memory (MiB)",
    "clip_prompts": "Clip-prompts",
}
_STAGE_HEADERS = {
    "input": "Output",
    "stage": "Stage",
    "key": "Key",
    "digest": "Digest",
    "device": "Device",
    "host": "Host",
    "finished": "Finished",
}


def run(context: StageContext) -> dict[str, Any]:
    """Make the report; returns the headline numbers of each system.

    Raises:
        DataError: An input is missing or damaged.
    """
    config = parse_config(ReportConfig, context.config)
    context.report(0, 4, "reading the analysis")
    sources = read_sources(context.inputs, searches=config.searches, trainings=config.trainings)
    tables = report_tables(sources)
    context.report(1, 4, "drawing")
    drawings = draw_all(context.out / "figures", sources)
    context.report(2, 4, "hearing the hardest clips")
    hardest = hardest_clips(
        sources.analysis.clips,
        corpus=context.inputs.get("corpus"),
        rirs=context.inputs.get("rirs"),
        settings=config.render,
        conditions=config.conditions,
    )
    context.report(3, 4, "writing")
    machine = _machine(config, context.inputs, sources)
    content = ReportContent(config.title, sources, tables, drawings, hardest, machine)
    write_tables(context.out / "tables", tables)
    _write_json(context.out / "results.json", results_json(content))
    write_pieces(context.out, make_pieces(content))
    _write_page(context.out, content)
    context.report(4, 4, "report written")
    return _headline(tables["results"].numbers)


def results_json(content: ReportContent) -> dict[str, Any]:
    """Return the headline tables as JSON values; NaN becomes null."""
    names = ("results", "comparisons", "thresholds", "gaps", "operating_points")
    sources = content.sources
    values: dict[str, Any] = to_json_values(
        {
            "title": content.title,
            "abstract": abstracts(sources),
            **{name: content.tables[name].numbers.to_dict("records") for name in names},
            "instructions": dict(sources.instructions),
            **{
                name: content.tables[name].numbers.to_dict("records")
                for name in (GAINS, TRANSFER)
                if name in content.tables
            },
        }
    )
    return values


def _machine(
    config: ReportConfig, inputs: Mapping[str, Path], sources: Sources
) -> dict[str, ReportTable]:
    """Return what the manifests of the inputs say of where, when and at what cost."""
    manifests = read_manifests(inputs)
    settings = {"analysis": vars(sources.analysis.settings.bootstrap)}
    card = flat_table({**versions(manifests), **settings, **config.provenance})
    cost, stages = cost_table(manifests), stages_table(manifests)
    caption = "What the outputs cost to make, whenever they were made"
    return {
        "cost": ReportTable(cost, frame_view(caption, _with_sum(cost), _COST_HEADERS, 1)),
        "stages": ReportTable(stages, frame_view("From what", stages, _STAGE_HEADERS)),
        "run_card": ReportTable(card, record_view("Versions, commit and settings", card)),
    }


def _with_sum(cost: pd.DataFrame) -> pd.DataFrame:
    if cost.empty:
        return cost
    added = ["seconds", "gpu_seconds", "cpu_seconds", "clip_prompts"]
    total = {"input": "all", "stage": "", **cost[added].sum().to_dict()}
    return pd.concat([cost, pd.DataFrame([total])], ignore_index=True)


def _write_page(out: Path, content: ReportContent) -> None:
    (out / VOLATILE_FOLDER).mkdir(exist_ok=True)
    (out / PAGE).write_text(render_page(build_page(content)), encoding="utf-8")
    card = {name: table.numbers.to_dict("records") for name, table in content.machine.items()}
    _write_json(out / VOLATILE_FOLDER / "run_card.json", to_json_values(card))


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


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
