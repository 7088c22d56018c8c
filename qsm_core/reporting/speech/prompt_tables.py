"""The gains of searches for instructions on test: the tables as read, and in sentences."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from qsm_core.errors import DataError
from qsm_core.evaluation.instruction_gains.tables import COLUMNS, GAINS, TRANSFER
from qsm_core.evaluation.systems import System
from qsm_core.reporting.page.formatting import p_value, percent_with_ends, points_with_ends

WAYS = {
    "search": "OPRO",
    "seed": "First instruction",
    "calibration": "First instruction, dev threshold",
    "templates": "Fixed templates, raced",
    "paraphrases": "Random paraphrases, raced",
}


@dataclass(frozen=True)
class PromptTables:
    """The tables of `evaluation.instruction_gains`."""

    gains: pd.DataFrame
    transfer: pd.DataFrame


def read_prompt_tables(folder: Path) -> PromptTables:
    """Read both tables.

    Raises:
        DataError: One is missing, damaged, or of another version.
    """
    return PromptTables(_read(folder, GAINS), _read(folder, TRANSFER))


def gain_sentences(gains: pd.DataFrame) -> list[str]:
    """Return for each model what its search adds to the best of the simpler ways."""
    return [_gain_sentence(rows) for _, rows in gains.groupby("model", sort=False)]


def _gain_sentence(rows: pd.DataFrame) -> str:
    found = rows[rows["way"] == "search"].iloc[0].to_dict()
    best = rows[rows["best_on_dev"].astype(bool)].iloc[0].to_dict()
    reached = percent_with_ends(found["value"], found["low"], found["high"])
    way = WAYS.get(str(best["way"]), str(best["way"]))
    model = System.read(str(found["model"]))
    return (
        f"{model.model_title}: the instruction that OPRO found has a balanced "
        f"accuracy over clips of {reached} % on test.{_kept(rows)} Of the simpler ways "
        f"at the same price this one was best on dev: {way[:1].lower()}{way[1:]}. {_added(best)}"
    )


def _kept(rows: pd.DataFrame) -> str:
    """Return a sentence if the search ended with the instruction that it started from."""
    instruction = rows.set_index("way")["instruction"]
    if instruction["search"] != instruction.get("seed"):
        return ""
    return " It is the first instruction: no other was better on dev."


def _added(best: Mapping[Hashable, Any]) -> str:
    if best["difference"] == 0 and pd.isna(best["p_value"]):
        return "It ended with the same instruction, so OPRO adds nothing to it."
    gain = points_with_ends(best["difference"], best["difference_low"], best["difference_high"])
    p = p_value(best["p_holm"])
    return (
        f"To that OPRO adds {gain} points on test (corrected p "
        f"{p if p.startswith('<') else f'= {p}'})."
    )


def _read(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    title = "the analysis of the instructions cannot be read"
    try:
        table = pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(title, [f"{path}: {error}"]) from error
    if list(table.columns) != list(COLUMNS[name]):
        raise DataError(title, [f"{path}: its columns are not those of this version"])
    return table
