"""Columns that every form of predictions has: names, numbers, and conditions in their grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.conditions.grid import Condition, parse_condition
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.predictions.table import CLEAN, rows_told
from qsm_core.spelling import normalized
from qsm_core.tables.delimited import read_table

LEVELS = ("duration_ms", "snr_db", "t60_s", "band")
PLACE = ("condition", "dimension", *LEVELS)
_NUMBERS = ("p_speech", "margin", "p_first_token", "speech_prob")
# What systems said, which is kept as it stands.
_TEXTS = frozenset({"raw_text", "raw_output", "probs_dict"})


def read_texts(path: Path, remarks: list[str]) -> pd.DataFrame:
    """Read a delimited table as texts; the index says the lines of its rows.

    Only an empty cell is missing: a group may be called None, and an answer may be N/A.

    Args:
        path: The file.
        remarks: Takes how the file was read, where that could surprise.

    Raises:
        DataError: The file is no table, or a row of it cannot be read.
    """
    table = read_table(path, numbers=_NUMBERS)
    remarks += table.notes
    frame = with_plain_names(table.frame.astype("object"))
    return frame.set_axis(pd.Index(table.lines, name="line"), axis=0)


def with_plain_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of texts with names in one spelling; an empty cell is null."""
    names = [str(name) for name in frame if name not in _TEXTS]
    plain = {name: frame[name].map(normalized, na_action="ignore") for name in names}
    filled = frame.assign(**plain)
    return filled.mask(filled == "", None)


def read_numbers(raw: pd.DataFrame, name: str, problems: list[str]) -> pd.Series:
    """Return a column of numbers; NaN where it is empty or not there.

    Args:
        raw: Texts, null where a cell is empty.
        name: Of the column.
        problems: Takes a value that is no number.
    """
    if name not in raw:
        return pd.Series(np.nan, index=raw.index)
    numbers = pd.to_numeric(raw[name], errors="coerce").astype("float64")
    wrong = raw[name].notna() & numbers.isna()
    if wrong.any():
        first = raw.loc[wrong, name].iloc[0]
        problems.append(f"column {name}: {rows_told(wrong)}: {first!r} is no number")
    return numbers


def read_condition(key: str) -> Condition | None:
    """Return the condition of the grid that a key names; None for another."""
    try:
        return parse_condition(key)
    except ConfigurationError:
        return None


def place_of(condition: Condition) -> dict[str, object]:
    """Return condition, dimension and levels as a row of predictions has them."""
    return {
        "condition": condition.key,
        "dimension": condition.dimension.value,
        **condition.columns(),
    }


def place_elsewhere(key: str = CLEAN) -> dict[str, object]:
    """Return the place of a condition that belongs to no dimension, such as `clean`."""
    return {"condition": key, "dimension": None, **dict.fromkeys(LEVELS)}
