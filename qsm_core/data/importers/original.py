"""The tables of the first system: rendered clips, one row a clip x condition.

Three generations, each with its own spellings:

    qsm_parquet  one parquet: NON-SPEECH, variant types `band` and `rir`, back-slashed paths,
                 T60 in bins, rows of silent segments, label and ground_truth side by side
    qsm_csv      {train,dev,test}_metadata.csv with variant types `filter` and `reverb`; or, older
                 (`experimental_variants`, `normalized_clips`), without variant types: each row is a
                 duration and an SNR at once, which becomes a crossed condition

Base clip and group are read from the file names (`conditions.original_names`), because the tables'
own groups separate the takes of one recording. A bin of T60 gets the key of its nominal value;
`t60_s` keeps the measured value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from qsm_core.conditions.grid import Condition, Dimension, Level, cross
from qsm_core.conditions.original_names import BaseClip, band_of, base_clip, nominal_t60_s
from qsm_core.data.importers.canonical import columns_of
from qsm_core.data.importers.paths import relocate
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, make_table, read_frame, records_of
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.labels import SPLITS, Label, parse_label

PARQUET_KIND: Final = "qsm_parquet"
CSV_KIND: Final = "qsm_csv"
NEEDED = ("clip_id", "duration_ms", "snr_db", "audio_path")
NEEDED_WITH_TYPES = ("T60", "band_filter")
_CSV_FILES = {f"{split}_metadata.csv": split for split in SPLITS}

_DIMENSIONS = {
    "duration": Dimension.DURATION,
    "snr": Dimension.SNR,
    "band": Dimension.FILTER,
    "filter": Dimension.FILTER,
    "rir": Dimension.REVERB,
    "reverb": Dimension.REVERB,
}


def recognizes_parquet(path: Path) -> bool:
    """Say whether this is the parquet of the first system."""
    return path.suffix.lower() == ".parquet" and _is_original(path)


def recognizes_csv(path: Path) -> bool:
    """Say whether this is a CSV of the first system, or a folder that holds one for each split."""
    return any(_is_original(file) for file in _csv_files(path))


def read_parquet(path: Path, options: ImportOptions) -> ManifestTable:
    """Read the parquet of the first system.

    Raises:
        DataError: Labels contradict each other, or a row cannot be understood.
    """
    frame = read_frame(path)
    return _to_table(frame, path, path.parent, PARQUET_KIND, options)


def read_csv(path: Path, options: ImportOptions) -> ManifestTable:
    """Read the CSV files of the first system; the file names say the splits.

    Raises:
        DataError: Labels contradict each other, or a row cannot be understood.
    """
    files = _csv_files(path)
    if not files:
        wanted = ", ".join(_CSV_FILES)
        raise DataError(f"{path} cannot be read", [f"none of {wanted} is there"])
    frames = []
    for file in files:
        frame = read_frame(file)
        if "split" not in frame and file.name in _CSV_FILES:
            frame["split"] = _CSV_FILES[file.name]
        frames.append(frame)
    root = path if path.is_dir() else path.parent
    return _to_table(pd.concat(frames, ignore_index=True), path, root, CSV_KIND, options)


def _is_original(file: Path) -> bool:
    columns = set(columns_of(file))
    crossed = {"duration_ms", "snr_db", "ground_truth"} <= columns
    return {"audio_path", "clip_id"} <= columns and ("variant_type" in columns or crossed)


def _csv_files(path: Path) -> list[Path]:
    if path.is_dir():
        return [path / name for name in _CSV_FILES if (path / name).is_file()]
    return [path] if path.suffix.lower() == ".csv" and path.is_file() else []


def _to_table(
    frame: pd.DataFrame, origin: Path, folder: Path, kind: str, options: ImportOptions
) -> ManifestTable:
    needed = (*NEEDED, *(NEEDED_WITH_TYPES if "variant_type" in frame else ()))
    missing = [name for name in needed if name not in frame]
    if not {"label", "ground_truth"} & set(frame.columns):
        missing.append("label")
    if missing:
        raise DataError(f"{origin} cannot be used", [f"missing column {name}" for name in missing])
    root = options.audio_root or folder
    kept, notes = _without_silence(records_of(frame))
    kept, more = _with_snr(kept)
    notes += more
    paths = relocate([str(row["audio_path"]) for row in kept], root)
    records, problems = [], []
    for number, (row, path) in enumerate(zip(kept, paths, strict=True)):
        try:
            records.append(_record(row, path))
        except (ValueError, ConfigurationError) as error:
            reason = "; ".join(getattr(error, "problems", (str(error),)))
            problems.append(f"row {number} ({row['audio_path']}): {reason}")
    if problems:
        raise DataError(f"{origin} cannot be used", problems)
    return make_table(records, root, kind, origin=origin, notes=notes)


def _without_silence(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Leave out clips that the table itself calls silent: an SNR of silence means nothing."""
    silent = {row["clip_id"] for row in rows if row.get("silent_segment") in (True, "True", "1")}
    kept = [row for row in rows if row["clip_id"] not in silent]
    if not silent:
        return kept, []
    names = ", ".join(sorted(silent))
    left_out = len(rows) - len(kept)
    return kept, [f"left out: {left_out} rows of {len(silent)} silent clips ({names})"]


def _with_snr(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Leave out crossed rows without an SNR: the first system wrote none for silent clips."""
    without = [row for row in rows if "variant_type" not in row and _is_empty(row["snr_db"])]
    if not without:
        return rows, []
    kept = [row for row in rows if row not in without]
    first = without[0]["audio_path"]
    return kept, [f"left out: {len(without)} rows of silent clips, without an SNR, such as {first}"]


def _record(row: Mapping[str, Any], path: str) -> dict[str, Any]:
    base = base_clip(str(row["audio_path"]))
    if str(row["clip_id"]) != base.clip_id:
        raise ValueError(f"clip_id {row['clip_id']!r} is not the {base.clip_id!r} of the file name")
    condition, measured = _condition(row, base)
    columns = condition.columns()
    return {
        "clip_id": base.clip_id,
        "group_id": base.group_id,
        "path": path,
        "label": _label(row, base).value,
        "split": row.get("split"),
        "source": base.source,
        "category": base.category,
        "condition": condition.key,
        **columns,
        "t60_s": columns["t60_s"] if measured is None else measured,
    }


def _label(row: Mapping[str, Any], base: BaseClip) -> Label:
    """Read label and ground_truth and refuse a contradiction, also with the file name."""
    said = {"the file name": base.label}
    for column in ("label", "ground_truth"):
        if not _is_empty(row.get(column)):
            try:
                said[column] = parse_label(str(row[column]))
            except DataError as error:
                raise ValueError("; ".join(error.problems)) from None
    if len(set(said.values())) > 1:
        text = ", ".join(f"{name} says {label}" for name, label in said.items())
        raise ValueError(f"the labels contradict each other: {text}")
    if len(said) == 1:
        raise ValueError("label and ground_truth are both empty")
    return base.label


def _condition(row: Mapping[str, Any], base: BaseClip) -> tuple[Condition, float | None]:
    """Return the condition of a row, and the measured T60 where it stands in a bin."""
    if "variant_type" not in row:
        return _crossed(row, base), None
    kind = str(row["variant_type"])
    if kind not in _DIMENSIONS:
        raise ValueError(f"variant_type {kind!r}: known are {', '.join(_DIMENSIONS)}")
    dimension = _DIMENSIONS[kind]
    level: Level
    measured = None
    if dimension is Dimension.DURATION:
        level = _number(row, "duration_ms")
    elif dimension is Dimension.SNR:
        level = _number(row, "snr_db")
    elif dimension is Dimension.FILTER:
        level = band_of(str(row["band_filter"]))
    elif not _is_empty(row.get("T60_bin")):
        level, measured = nominal_t60_s(str(row["T60_bin"])), _number(row, "T60")
    else:
        t60_s = 0.0 if _is_empty(row["T60"]) else _number(row, "T60")
        level = t60_s or None
    return Condition(dimension, level), measured


def _crossed(row: Mapping[str, Any], base: BaseClip) -> Condition:
    """Return the duration and SNR of a row, and refuse a contradiction with the file name."""
    condition = cross(
        [
            Condition(Dimension.DURATION, _number(row, "duration_ms")),
            Condition(Dimension.SNR, _number(row, "snr_db")),
        ]
    )
    named = cross(base.conditions) if base.conditions else condition
    if named != condition:
        raise ValueError(f"the file name says {named.key}, the columns say {condition.key}")
    return condition


def _number(row: Mapping[str, Any], column: str) -> float:
    if _is_empty(row[column]):
        raise ValueError(f"{column} is empty{_for_type(row)}")
    try:
        return float(row[column])
    except ValueError:
        raise ValueError(f"{column} {row[column]!r}: is no number") from None


def _for_type(row: Mapping[str, Any]) -> str:
    return f" for variant_type {row['variant_type']!r}" if "variant_type" in row else ""


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or value != value


PARQUET_IMPORTER = Importer(
    PARQUET_KIND,
    "the parquet of the first system (columns clip_id, variant_type, audio_path, ...)",
    recognizes_parquet,
    read_parquet,
)
CSV_IMPORTER = Importer(
    CSV_KIND,
    "the CSVs of the first system ({train,dev,test}_metadata.csv with clip_id, audio_path, and "
    "variant_type or duration_ms and snr_db)",
    recognizes_csv,
    read_csv,
)
