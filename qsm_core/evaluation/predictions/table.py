"""The predictions table: one row per clip x condition x system, and its schema.

Every metric, interval and figure is a pure function of this table. A prediction that is null
could not be read from the model's answer and counts as an error of its clip's class.

Conventions: `p_speech` is the probability of SPEECH in [0, 1], `margin` is logit(SPEECH) minus
logit(NONSPEECH); both are null for a system that gives no score. `condition` is the key of the
rendering (`dur_20ms`, `snr_-10dB`, ...) or `clean` for a clip taken as it is, whose `dimension`
is null. `answer_mass` is the probability that the model gave to the answers that it could
choose from, before they were normalised to add up to one; a table without this column is read
as if it were null.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from qsm_core.conditions.grid import Dimension
from qsm_core.errors import DataError
from qsm_core.labels import Label
from qsm_core.plurals import counted

CLEAN = "clean"
DIMENSIONS = tuple(dimension.value for dimension in Dimension)
LABELS = tuple(label.value for label in Label)

SCHEMA = pa.schema(
    [
        pa.field("system", pa.string(), nullable=False),
        pa.field("instruction_digest", pa.string(), nullable=False),
        pa.field("clip_id", pa.string(), nullable=False),
        pa.field("group_id", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("condition", pa.string(), nullable=False),
        pa.field("dimension", pa.string()),
        pa.field("duration_ms", pa.float64()),
        pa.field("snr_db", pa.float64()),
        pa.field("t60_s", pa.float64()),
        pa.field("band", pa.string()),
        pa.field("p_speech", pa.float64()),
        pa.field("margin", pa.float64()),
        pa.field("prediction", pa.string()),
        pa.field("raw_text", pa.string()),
        pa.field("parse_level", pa.string()),
        pa.field("answer_mass", pa.float64()),
    ]
)
COLUMNS: tuple[str, ...] = tuple(SCHEMA.names)
KEY = ("system", "clip_id", "condition")
_NUMBERS = tuple(field.name for field in SCHEMA if pa.types.is_floating(field.type))
_OPTIONAL = frozenset({"answer_mass"})
_REQUIRED = tuple(field.name for field in SCHEMA if not field.nullable)


def validate(frame: pd.DataFrame, source: str = "predictions") -> pd.DataFrame:
    """Check a predictions table and return it with the columns and types of the schema.

    Args:
        frame: The table, with any index and any column order.
        source: Name of the table in an error, such as its path.

    Raises:
        DataError: Something does not fit the schema; every problem is listed.
    """
    problems = list(_column_problems(frame))
    absent = {name: None for name in COLUMNS if name in _OPTIONAL and name not in frame.columns}
    if not problems:
        frame = frame.assign(**absent)
        problems = list(_value_problems(frame))
    if problems:
        raise DataError(f"{source} is no predictions table", problems)
    return _with_schema_types(frame)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read and check a predictions.parquet.

    Raises:
        DataError: The file is missing, is no parquet file, or does not fit the schema.
    """
    try:
        frame = pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError("cannot read the predictions", [f"{path}: {error}"]) from error
    return validate(frame, str(path))


def write_predictions(path: Path, frame: pd.DataFrame) -> None:
    """Check a table and write it: equal tables give equal bytes, whatever their row order.

    Raises:
        DataError: The table does not fit the schema.
    """
    ordered = validate(frame).sort_values(list(KEY), kind="stable")
    table = pa.Table.from_pandas(ordered, schema=SCHEMA, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def _column_problems(frame: pd.DataFrame) -> Iterator[str]:
    missing = [name for name in COLUMNS if name not in frame.columns and name not in _OPTIONAL]
    unknown = [str(name) for name in frame.columns if name not in COLUMNS]
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if missing:
        yield f"missing columns: {', '.join(missing)}; needed are {', '.join(COLUMNS)}"
    if unknown:
        yield f"unknown columns: {', '.join(unknown)}; allowed are {', '.join(COLUMNS)}"
    if twice:
        yield f"columns given twice: {', '.join(twice)}"
    if len(frame) == 0:
        yield "no rows: evaluate at least one clip of each class"


def _value_problems(frame: pd.DataFrame) -> Iterator[str]:
    for name in _REQUIRED:
        empty = frame[name].isna() | (frame[name].astype("string") == "")
        if empty.any():
            yield f"column {name}: {rows_told(empty)} empty; every row needs a value"
    yield from _unknown_words(frame, "label", LABELS, nullable=False)
    yield from _unknown_words(frame, "prediction", LABELS, nullable=True)
    yield from _unknown_words(frame, "dimension", DIMENSIONS, nullable=True)
    yield from _number_problems(frame)
    yield from _agreement_problems(frame)


def _unknown_words(
    frame: pd.DataFrame, name: str, allowed: tuple[str, ...], *, nullable: bool
) -> Iterator[str]:
    bad = frame[name].notna() & ~frame[name].isin(allowed)
    if bad.any():
        values = ", ".join(repr(value) for value in frame.loc[bad, name].unique()[:3])
        null = " or null" if nullable else ""
        yield f"column {name}: {rows_told(bad)} {values}; allowed are {', '.join(allowed)}{null}"


def _number_problems(frame: pd.DataFrame) -> Iterator[str]:
    for name in _NUMBERS:
        numbers = pd.to_numeric(frame[name], errors="coerce").astype("float64")
        not_a_number = frame[name].notna() & numbers.isna()
        if not_a_number.any():
            yield f"column {name}: {rows_told(not_a_number)} no number"
        infinite = pd.Series(np.isinf(numbers.to_numpy()), index=frame.index)
        if infinite.any():
            yield f"column {name}: {rows_told(infinite)} infinite; use a finite number or null"
        if name == "p_speech":
            outside = (numbers < 0) | (numbers > 1)
            if outside.any():
                yield f"column p_speech: {rows_told(outside)} outside 0 to 1"


def _agreement_problems(frame: pd.DataFrame) -> Iterator[str]:
    repeated = frame.duplicated(list(KEY))
    if repeated.any():
        first = frame.loc[repeated, list(KEY)].iloc[0].tolist()
        yield f"{rows_told(repeated)} repeated: {first} appears more than once"
    for column, by in (("label", "clip_id"), ("group_id", "clip_id"), ("dimension", "condition")):
        pairs = frame[[by, column]].drop_duplicates()
        split = pairs.loc[pairs.duplicated(by), by]
        if len(split):
            yield f"{by} {split.iloc[0]!r}: has more than one {column} ({len(split)} such {by}s)"


def rows_told(mask: pd.Series) -> str:
    """Say how many rows a mask has and where the first is, by the name of its index."""
    count, name = int(mask.sum()), mask.index.name or "row"
    return f"{counted(count, 'row')} (first: {name} {mask.index[mask.to_numpy()][0]})"


def _with_schema_types(frame: pd.DataFrame) -> pd.DataFrame:
    columns = {
        name: pd.to_numeric(frame[name]).astype("float64")
        if name in _NUMBERS
        else frame[name].astype("str")
        for name in COLUMNS
    }
    return pd.DataFrame(columns).reset_index(drop=True)
