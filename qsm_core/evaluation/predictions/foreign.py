"""Read predictions that were made elsewhere, so that any system can be compared.

Three forms are distinguished by their columns:

- a predictions.parquet of this program;
- the documented table, CSV or parquet: clip_id, group_id, condition, label, and p_speech or
  prediction or both; optionally margin and raw_text (see docs/predictions.md);
- the predictions of the first system (`predictions.original`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from qsm_core.errors import DataError
from qsm_core.evaluation.predictions.answers import read_answers, read_labels
from qsm_core.evaluation.predictions.columns import (
    PLACE,
    place_elsewhere,
    place_of,
    read_condition,
    read_numbers,
    read_texts,
    with_plain_names,
)
from qsm_core.evaluation.predictions.original import from_original, is_original
from qsm_core.evaluation.predictions.table import validate
from qsm_core.labels import Label
from qsm_core.plurals import counted

REQUIRED = ("clip_id", "group_id", "condition", "label")
ANSWERS = ("p_speech", "prediction")
OPTIONAL = ("margin", "raw_text")
_DIGEST = "unknown"


def read_any(path: Path, system: str, remarks: list[str] | None = None) -> pd.DataFrame:
    """Read predictions in any of the known forms, as those of a system with the given name.

    Args:
        path: The file.
        system: Name to give the system.
        remarks: Takes what a reader of the numbers should know of how the file was read.

    Raises:
        DataError: The file cannot be read or fits none of the forms; every problem is listed.
    """
    remarks = [] if remarks is None else remarks
    if path.suffix == ".parquet":
        found = _read_parquet(path)
        if "instruction_digest" in found:
            return validate(found, str(path)).assign(system=system)
        # Other programs write answers and levels as numbers; a text is read the same everywhere.
        raw = with_plain_names(found.astype("string").astype("object"))
    else:
        raw = read_texts(path, remarks)
    read = from_original if is_original(raw.columns) else from_foreign
    return read(raw, system, str(path), remarks)


def from_foreign(
    raw: pd.DataFrame, system: str, source: str, remarks: list[str] | None = None
) -> pd.DataFrame:
    """Turn the documented columns into a predictions table.

    A row without a prediction gets SPEECH where p_speech is 0.5 or more, and stays unread where
    there is no p_speech either. A prediction that is no spelling of a label is unread as well.

    Raises:
        DataError: A column is missing or unknown, or a value is not allowed.
    """
    remarks = [] if remarks is None else remarks
    problems = [*_column_problems(raw)]
    if problems:
        raise DataError(f"{source} is no table of predictions", problems)
    labels = read_labels(raw["label"], "label", problems, remarks)
    conditions = _conditions(raw["condition"], remarks)
    p_speech = read_numbers(raw, "p_speech", problems)
    margin = read_numbers(raw, "margin", problems)
    prediction = _answers(raw, p_speech, problems, remarks)
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
            "prediction": prediction,
            "raw_text": raw.get("raw_text"),
            "parse_level": None,
        }
    )
    return validate(frame, source)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError("cannot read the predictions", [f"{path}: {error}"]) from error


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


def _conditions(keys: pd.Series, remarks: list[str]) -> dict[str, pd.Series]:
    """Return condition, dimension and levels; a key of no known form has neither."""
    empty = int(keys.isna().sum())
    if empty:
        clean = place_elsewhere()["condition"]
        remarks.append(f"column condition: {counted(empty, 'empty cell')} read as {clean!r}")
    places: dict[str | None, dict[str, object]] = {None: place_elsewhere()}
    for key in keys.dropna().unique():
        condition = read_condition(key)
        # Conditions of other studies are compared as they are called.
        places[key] = place_elsewhere(key) if condition is None else place_of(condition)
    filled = keys.astype("object").where(keys.notna(), None)
    return {name: filled.map(lambda key, name=name: places[key][name]) for name in PLACE}


def _answers(
    raw: pd.DataFrame, p_speech: pd.Series, problems: list[str], remarks: list[str]
) -> pd.Series:
    by_score = pd.Series(
        np.where(p_speech >= 0.5, Label.SPEECH.value, Label.NONSPEECH.value), index=raw.index
    )
    by_score = by_score.where(p_speech.notna(), None)
    if "prediction" not in raw:
        return by_score
    given = read_answers(raw["prediction"], "prediction", problems, remarks)
    return given.where(raw["prediction"].notna(), by_score)
