"""Read predictions that were made elsewhere, so that any system can be compared.

Three forms are distinguished by their columns:

- a predictions.parquet of this program;
- the documented CSV: clip_id, group_id, condition, label, and p_speech or prediction or both;
  optionally margin and raw_text (see docs/predictions.md);
- the predictions.csv of the first system (`evaluation.original`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.conditions.grid import parse_condition
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.predictions.original import NEEDED as ORIGINAL_COLUMNS
from qsm_core.evaluation.predictions.original import read_original
from qsm_core.evaluation.predictions.table import read_predictions, validate
from qsm_core.labels import Label, parse_label
from qsm_core.tables.delimited import header_of, read_table

REQUIRED = ("clip_id", "group_id", "condition", "label")
ANSWERS = ("p_speech", "prediction")
OPTIONAL = ("margin", "raw_text")
_LEVELS = ("duration_ms", "snr_db", "t60_s", "band")
_DIGEST = "unknown"


def read_any(path: Path, system: str) -> pd.DataFrame:
    """Read predictions in any of the known forms, as those of a system with the given name.

    Raises:
        DataError: The file cannot be read or fits none of the forms; every problem is listed.
    """
    if path.suffix == ".parquet":
        return read_predictions(path).assign(system=system)
    if set(ORIGINAL_COLUMNS) <= set(header_of(path)):
        return read_original(path, system)
    raw = read_table(path, numbers=("p_speech", "margin")).frame
    # Only an empty cell is missing: a group may be called None, and an answer may be N/A.
    return from_foreign(raw.mask(raw == ""), system, str(path))


def from_foreign(raw: pd.DataFrame, system: str, source: str) -> pd.DataFrame:
    """Turn the documented columns into a predictions table.

    A row without a prediction gets SPEECH where p_speech is 0.5 or more, and stays unread where
    there is no p_speech either. A prediction that is no spelling of a label is unread as well.

    Raises:
        DataError: A column is missing or unknown, or a value is not allowed.
    """
    problems = _column_problems(raw)
    if problems:
        raise DataError(f"{source} is no table of predictions", problems)
    labels = _labels(raw["label"], problems)
    conditions = _conditions(raw["condition"].astype(str))
    p_speech = _numbers(raw, "p_speech", problems)
    margin = _numbers(raw, "margin", problems)
    if problems:
        raise DataError(f"{source} cannot be imported", problems)
    frame = pd.DataFrame(
        {
            "system": system,
            "instruction_digest": _DIGEST,
            **{name: raw[name] for name in ("clip_id", "group_id")},
            "label": labels,
            **conditions,
            "p_speech": p_speech,
            "margin": margin,
            "prediction": _answers(raw, p_speech),
            "raw_text": raw.get("raw_text"),
            "parse_level": None,
        }
    )
    return validate(frame, source)


def _column_problems(raw: pd.DataFrame) -> list[str]:
    problems = []
    missing = [name for name in REQUIRED if name not in raw.columns]
    if missing:
        problems.append(
            f"missing columns: {', '.join(missing)}; needed are {', '.join(REQUIRED)}, and "
            f"{' or '.join(ANSWERS)}"
        )
    elif not set(ANSWERS) & set(raw.columns):
        problems.append(f"missing columns: give {' or '.join(ANSWERS)}, or both")
    known = (*REQUIRED, *ANSWERS, *OPTIONAL)
    unknown = [str(name) for name in raw.columns if name not in known]
    if unknown:
        problems.append(f"unknown columns: {', '.join(unknown)}; allowed are {', '.join(known)}")
    return problems


def _labels(texts: pd.Series, problems: list[str]) -> pd.Series:
    spellings = {}
    for text in texts.astype(str).unique():
        try:
            spellings[text] = parse_label(text).value
        except DataError as error:
            problems += [f"column label: {problem}" for problem in error.problems]
    return texts.astype(str).map(spellings)


def _conditions(keys: pd.Series) -> dict[str, pd.Series]:
    """Return condition, dimension and levels; a key of unknown form has only a condition."""
    places: dict[str, dict[str, object]] = {}
    for key in keys.unique():
        try:
            condition = parse_condition(key)
        except ConfigurationError:
            # Conditions of other studies are compared by their names.
            places[key] = {"condition": key, "dimension": None, **dict.fromkeys(_LEVELS)}
            continue
        place: dict[str, object] = {
            "condition": condition.key,
            "dimension": condition.dimension.value,
        }
        places[key] = place | condition.columns()
    names = ("condition", "dimension", *_LEVELS)
    return {name: keys.map({k: place[name] for k, place in places.items()}) for name in names}


def _numbers(raw: pd.DataFrame, name: str, problems: list[str]) -> pd.Series:
    if name not in raw:
        return pd.Series(np.nan, index=raw.index)
    numbers = pd.to_numeric(raw[name], errors="coerce")
    wrong = raw[name].notna() & numbers.isna()
    if wrong.any():
        problems.append(f"column {name}: {raw.loc[wrong, name].iloc[0]!r} is no number")
    return numbers


def _answers(raw: pd.DataFrame, p_speech: pd.Series) -> pd.Series:
    by_score = pd.Series(
        np.where(p_speech >= 0.5, Label.SPEECH.value, Label.NONSPEECH.value), index=raw.index
    )
    by_score = by_score.where(p_speech.notna(), None)
    if "prediction" not in raw:
        return by_score
    read: dict[str, str | None] = {}
    for text in raw["prediction"].dropna().astype(str).unique():
        try:
            read[text] = parse_label(text).value
        except DataError:
            read[text] = None
    given = raw["prediction"].map(lambda text: None if pd.isna(text) else read[str(text)])
    return given.where(raw["prediction"].notna(), by_score)
