"""The stage "summarize_perturbation": tables of an experiment, and its records for others.

    python -m qsm_core.perturbation.summary.stage --spec spec.json

Inputs: `cells` (of `perturb`), `reference`, optionally `prompts`, `nf4` and `int8` (cells of the
model as it is loaded in so many bits), and `other_0` and so on (cells of other runs). No model is
needed.

Output: `tables/` (parquet and CSV), and in `volatile/`, since they hold times: `records.jsonl` and
`records.parquet` with every field of the contract, `exports/outputs_*.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.perturbation.cells import CLEAN
from qsm_core.perturbation.config import Condition
from qsm_core.perturbation.plan import prompts_of
from qsm_core.perturbation.records.contract import Experiment, contract_records, write_exports
from qsm_core.perturbation.records.tables import Rows, read_rows
from qsm_core.perturbation.summary.config import SummarizePerturbation, other_input
from qsm_core.perturbation.summary.curves import (
    QUANTIZED,
    cell_table,
    curves,
    half_levels,
    text_curves,
    text_table,
)
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.layout import VOLATILE_FOLDER

TABLES, EXPORTS, RECORDS = "tables", "exports", "records"
_QUANTIZED = ("nf4", "int8")


def run(context: StageContext) -> dict[str, Any]:
    """Write tables, records and exports."""
    config = parse_config(SummarizePerturbation, context.config)
    prompts = prompts_of(config.cells, _with_image(context.inputs))
    runs: list[tuple[str, Rows]] = [(config.name, read_rows(context.inputs["cells"]))]
    runs += [
        (config.name, read_rows(context.inputs[name]))
        for name in _QUANTIZED
        if name in context.inputs
    ]
    runs += [
        (name, read_rows(context.inputs[other_input(number)]))
        for number, name in enumerate(config.others)
    ]
    cells = pd.concat([cell_table(name, rows) for name, rows in runs], ignore_index=True)
    texts = pd.concat([text_table(name, rows, prompts) for name, rows in runs], ignore_index=True)
    levels = {one.name: from_harmless(one) for one in config.cells.conditions}
    for condition, part in cells.groupby("condition"):
        order = sorted({0.0, *part["level"]})
        is_counted = str(condition).startswith(("uni_quant", "quant_symmetric"))
        levels.setdefault(str(condition), [0.0, *order[:0:-1]] if is_counted else order)
    levels = {
        name: order
        for name, order in levels.items()
        if name != CLEAN and not name.endswith(QUANTIZED)
    }
    tables = {
        "cells": cells,
        "texts": texts,
        "curves": curves(cells, config.confidence),
        "text_curves": text_curves(texts, config.confidence),
        "half_levels": half_levels(cells, levels, config.confidence),
    }
    _write_tables(context.out / TABLES, tables)
    experiment = Experiment(config.name, config.model, config.cells, config.image)
    _write_records(context.out / VOLATILE_FOLDER, experiment, runs[0][1], prompts)
    return {
        "cells": len(runs[0][1].cells),
        "texts": len(runs[0][1].texts),
        "lost_cells": int(cells["is_lost"].sum()),
    }


def from_harmless(condition: Condition) -> list[float]:
    """Return the levels of a condition from harmless to harmful, the clean model first."""
    is_counted = condition.method in ("uni_quant", "quant_symmetric")
    return [0.0, *sorted((one for one in condition.levels if one != 0), reverse=is_counted)]


def _with_image(inputs: Any) -> dict[str, Path]:
    """Return the inputs with a picture: what is asked does not depend on which one it is."""
    return {"image": Path(), **inputs}


def _write_tables(folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    folder.mkdir(parents=True)
    for name, table in tables.items():
        stable = table.drop(columns="seconds", errors="ignore")
        stable.to_parquet(folder / f"{name}.parquet", index=False)
        stable.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def _write_records(folder: Path, experiment: Experiment, rows: Rows, prompts: Any) -> None:
    exports = folder / EXPORTS
    exports.mkdir(parents=True)
    write_exports(exports, experiment, rows, prompts)
    records = [record for _, record in contract_records(experiment, rows, prompts)]
    with (folder / f"{RECORDS}.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(one, ensure_ascii=True) + "\n" for one in records)
    flat = [
        one | {"gen_params": json.dumps(one["gen_params"]), "output": _encodable(one["output"])}
        for one in records
    ]
    pd.DataFrame(flat).to_parquet(folder / f"{RECORDS}.parquet", index=False)


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


if __name__ == "__main__":
    run_entry(run)
