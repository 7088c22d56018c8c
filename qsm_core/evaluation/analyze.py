"""The stage "analyze": all tables of an analysis from the predictions of any number of systems.

    python -m qsm_core.evaluation.analyze --spec spec.json

Inputs: `eval_<system>` for each system (a folder with predictions.parquet, or a file), and
optionally `dev_<system>`, the same system's predictions on dev (a folder with predictions.parquet,
or a prompt search's with dev_predictions.parquet, whose winner is taken; write
`dev_<system>.seed_instruction` for the instruction that the search started from).

Output: what `evaluation.analysis.write_analysis` writes. No torch: a laptop with the predictions
makes every number again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.evaluation.analysis import COLUMNS, Analysis, table_of, write_analysis
from qsm_core.evaluation.comparison import check_same_rows
from qsm_core.evaluation.predictions import read_predictions
from qsm_core.evaluation.settings import AnalysisSettings
from qsm_core.store.context import StageContext, parse_config
from qsm_core.store.entry import run_entry

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Run:
    """One of several runs of the same kind of system: which seed and which prompt it had."""

    family: str
    seed: str
    prompt: str = "one"


def analyze(
    tables: Mapping[str, pd.DataFrame],
    *,
    dev: Mapping[str, pd.DataFrame] | None = None,
    runs: Mapping[str, Run] | None = None,
    settings: AnalysisSettings | None = None,
    report: Progress | None = None,
) -> Analysis:
    """Compute all tables.

    Args:
        tables: A predictions table for each system, all over the same clips and conditions.
        dev: Predictions of the same systems on dev, where known: thresholds and temperatures are
            fitted there, and the gap between dev and test is told.
        runs: Which systems are the same but for seed or prompt. None: told by the names, where
            `lora_seed43` belongs to `lora`.
        settings: What to compute; None for the defaults.
        report: Called with steps done, steps in all, and what is being done.

    Raises:
        DataError: The tables do not hold the same rows, or a pair names an unknown system.
    """
    del dev, runs, report  # the tables that need them follow
    settings = settings or AnalysisSettings()
    check_same_rows(tables)
    made = {name: table_of(name, []) for name in COLUMNS}
    return Analysis(**made, settings=settings, order=tuple(tables))


def runs_by_name(names: list[str]) -> dict[str, Run]:
    """Return the families of systems whose names differ in `_seed<number>` only."""
    found = {name: re.sub(r"_seed\d+", "", name) for name in names}
    families = list(found.values())
    runs = {}
    for name, family in found.items():
        if families.count(family) > 1:
            seed = re.search(r"_seed(\d+)", name)
            runs[name] = Run(family, "first" if seed is None else seed[1])
    return runs


def run(context: StageContext) -> dict[str, Any]:
    """Analyze the systems that are given as inputs.

    Raises:
        DataError: An input cannot be read, or the systems answered different rows.
    """
    settings = parse_config(AnalysisSettings, context.config)
    inputs = context.inputs
    tables = {
        name.removeprefix("eval_"): _read(path)
        for name, path in inputs.items()
        if name.startswith("eval_")
    }
    analysis = analyze(tables, settings=settings, report=context.report)
    write_analysis(context.out, analysis)
    return {"systems": list(analysis.order)}


def _read(path: Path) -> pd.DataFrame:
    return read_predictions(path / "predictions.parquet" if path.is_dir() else path)


if __name__ == "__main__":
    run_entry(run)
