"""Columns that every form of predictions has: numbers, and where a condition stands in the grid."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from qsm_core.conditions.grid import Condition, parse_condition
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.predictions.table import CLEAN

LEVELS = ("duration_ms", "snr_db", "t60_s", "band")
PLACE = ("condition", "dimension", *LEVELS)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


def read_numbers(raw: pd.DataFrame, name: str, problems: list[str]) -> pd.Series:
    """Return a column of numbers, also with decimal commas; NaN where it is empty or not there.

    Args:
        raw: Texts, null where a cell is empty.
        name: Of the column.
        problems: Takes a value that is no number.
    """
    if name not in raw:
        return pd.Series(np.nan, index=raw.index)
    texts = raw[name]
    commas = texts.map(lambda text: bool(_DECIMAL_COMMA.fullmatch(str(text).strip())))
    if commas.any():
        texts = texts.where(~commas, texts.astype(str).str.replace(",", ".", regex=False))
    numbers = pd.to_numeric(texts, errors="coerce").astype("float64")
    wrong = raw[name].notna() & numbers.isna()
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0]) + 1
        problems.append(
            f"column {name}: {raw.loc[wrong, name].iloc[0]!r} is no number (row {row}; "
            f"{int(wrong.sum())} such)"
        )
    return numbers


def read_condition(key: str) -> Condition | None:
    """Return the condition of the grid that a key names, whatever its case; None for another."""
    folded = re.sub("db$", "dB", key.casefold())
    try:
        return parse_condition(folded)
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
