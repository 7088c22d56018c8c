"""The clip manifest: one row per clip (or clip x condition, where clips are already rendered).

Columns, in order:

    clip_id      name of the base clip; with `condition` it is unique
    group_id     speaker or source recording; never crosses splits
    path         audio file, relative to the manifest's root or absolute; null for clips without one
    start_ms     where in the file the clip starts; null: the whole file
    stop_ms      where it stops
    label        SPEECH | NONSPEECH
    split        train | dev | test | null (not divided yet)
    source       name of the data set
    category     finer class, such as `dog`; null where unknown
    licence      null where unknown
    sha256       of the audio file; null until it is read
    condition    key of a rendered condition (`snr_-10dB`); null for a clip as it was recorded
    duration_ms  snr_db  t60_s  band    the level of the condition; null in all other columns

Paths are written with forward slashes on every system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import pandas as pd
import pyarrow as pa
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from qsm_core.conditions.grid import parse_condition
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.labels import Label, Split, parse_label
from qsm_core.plurals import counted
from qsm_core.spelling import caseless, normalized

KEY = ("clip_id", "condition")
CONDITION_COLUMNS = ("condition", "duration_ms", "snr_db", "t60_s", "band")

_SPLIT_SPELLINGS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "development": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
    "testing": "test",
}


def _read_label(value: object) -> Label:
    try:
        return parse_label(str(value))
    except DataError as error:
        raise ValueError("; ".join(error.problems)) from None


def _read_split(value: object) -> Split | None:
    if value is None:
        return None
    split = split_named(str(value))
    if split is None:
        raise ValueError(f"split {value!r}: allowed is train, dev (also: val, validation), test")
    return split


def split_named(text: str) -> Split | None:
    """Return the split that a word names; None where it names none."""
    return _SPLIT_SPELLINGS.get(caseless(text))


def _read_name(value: object) -> object:
    return normalized(value) if isinstance(value, str) else value


def _read_digest(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


_Name = Annotated[str, BeforeValidator(_read_name), Field(min_length=1)]
_Path = Annotated[str, Field(min_length=1)]


def _read_condition(value: object) -> str | None:
    if value is None:
        return None
    try:
        return parse_condition(str(value)).key
    except ConfigurationError as error:
        raise ValueError("; ".join(error.problems)) from None


class ClipRow(BaseModel):
    """One row of a manifest."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )

    clip_id: _Name
    group_id: _Name
    path: _Path | None = None
    start_ms: Annotated[float, Field(ge=0)] | None = None
    stop_ms: Annotated[float, Field(gt=0)] | None = None
    label: Annotated[Label, BeforeValidator(_read_label)]
    split: Annotated[Split | None, BeforeValidator(_read_split)] = None
    source: _Name
    category: _Name | None = None
    licence: str | None = None
    sha256: (
        Annotated[str, BeforeValidator(_read_digest), Field(pattern=r"^[0-9a-f]{64}$")] | None
    ) = None
    condition: Annotated[str | None, BeforeValidator(_read_condition)] = None
    duration_ms: float | None = None
    snr_db: float | None = None
    t60_s: float | None = None
    band: str | None = None

    @model_validator(mode="after")
    def _check_condition(self) -> ClipRow:
        given = [name for name in CONDITION_COLUMNS[1:] if getattr(self, name) is not None]
        if self.condition is None and given:
            raise ValueError(f"condition: is missing although {', '.join(given)} is given")
        return self

    @model_validator(mode="after")
    def _check_span(self) -> ClipRow:
        if self.start_ms is not None and self.stop_ms is not None and self.stop_ms <= self.start_ms:
            raise ValueError(f"stop_ms {self.stop_ms} must be after start_ms {self.start_ms}")
        return self


COLUMNS: tuple[str, ...] = tuple(ClipRow.model_fields)
NUMBERS = ("start_ms", "stop_ms", "duration_ms", "snr_db", "t60_s")
REQUIRED = ("clip_id", "group_id", "label", "source")
SCHEMA = pa.schema(
    [
        pa.field(
            name,
            pa.float64() if name in NUMBERS else pa.string(),
            nullable=name not in REQUIRED,
        )
        for name in COLUMNS
    ]
)


def rows_to_frame(rows: Iterable[ClipRow]) -> pd.DataFrame:
    """Return the table of validated rows, with the columns and types of the schema."""
    return with_schema_types(pd.DataFrame([row.model_dump() for row in rows], columns=COLUMNS))


def with_schema_types(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a copy with the canonical columns in order, their types, and a fresh index."""
    typed = {
        name: pd.to_numeric(frame[name]).astype("float64")
        if name in NUMBERS
        else frame[name].astype("str")
        for name in COLUMNS
    }
    return pd.DataFrame(typed).reset_index(drop=True)


def parse_rows(records: Iterable[Mapping[str, Any]], where: str) -> list[ClipRow]:
    """Validate raw rows; a text without letters and NaN count as null.

    Args:
        records: One mapping a row, by column name.
        where: The file that the rows come from, for the error.

    Raises:
        DataError: Names every wrong row and field, and every pair of clip and condition that
            appears twice.
    """
    rows: list[ClipRow] = []
    problems: list[str] = []
    for number, record in enumerate(records):
        values = _with_condition_columns(record)
        try:
            rows.append(ClipRow.model_validate(values))
        except ValidationError as error:
            name = values.get("clip_id", values.get("path", "no clip_id"))
            problems += [
                f"row {number} ({name}): {_explain(problem)}" for problem in error.errors()
            ]
    problems += duplicate_problems(rows)
    if problems:
        raise DataError(f"{where} is no clip manifest", problems)
    return rows


def spelling_notes(records: Iterable[Mapping[str, Any]], rows: Iterable[ClipRow]) -> list[str]:
    """Say which names were made equal to others, or trimmed, when they were read."""
    changed: dict[str, dict[str, str]] = {}
    for record, row in zip(records, rows, strict=True):
        for name in ("clip_id", "group_id", "source", "category"):
            raw, read = record.get(name), getattr(row, name)
            if isinstance(raw, str) and raw and raw != read:
                changed.setdefault(name, {})[raw] = read
    return [
        f"{name}: {counted(len(names), 'name')} read without spaces or marks that are not seen, "
        f"such as {next(iter(names))!r} as {next(iter(names.values()))!r}"
        for name, names in changed.items()
    ]


def duplicate_problems(rows: Iterable[ClipRow]) -> list[str]:
    """List the clips that appear in a table more than once in the same condition."""
    seen: dict[tuple[str, str | None], int] = {}
    problems = []
    for number, row in enumerate(rows):
        key = (row.clip_id, row.condition)
        if key in seen:
            under = f" under condition {row.condition}" if row.condition else ""
            problems.append(
                f"row {number} ({row.clip_id}): the same clip_id as row {seen[key]}{under}; "
                "every clip needs its own"
            )
        seen.setdefault(key, number)
    return problems


def _with_condition_columns(record: Mapping[str, Any]) -> dict[str, Any]:
    """Drop nulls, and fill in the columns of a known condition if they are all empty."""
    values = {name: value for name, value in record.items() if not _is_null(value)}
    try:
        columns = parse_condition(str(values.get("condition", ""))).columns()
    except ConfigurationError:  # the validation of the field reports it, with the row
        return values
    return values if set(columns) & set(values) else {**values, **columns}


def _is_null(value: object) -> bool:
    if isinstance(value, str):
        return not normalized(value)
    return value is None or value is pd.NA or value != value


def _explain(problem: Any) -> str:
    field = ".".join(map(str, problem["loc"])) or "row"
    if problem["type"] == "missing":
        return f"{field}: is missing"
    if problem["type"] == "extra_forbidden":
        return f"{field}: there is no such column; there are {', '.join(COLUMNS)}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"{field} = {problem['input']!r}: {problem['msg']}"
