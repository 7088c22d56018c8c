"""Events as tables that other programs read: Raven, Audacity, CSV, RTTM.

Read back (`event_tables.py`, `importing.py`) they give the same events, with times in whole
nanoseconds. Raven's and Audacity's tables lie in the folders in which the recordings lie; where two
recordings of a folder differ only in their suffix, it stays in the names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, get_args

import pandas as pd

from qsm_core.detection.annotations.audio_files import base_name
from qsm_core.detection.annotations.clock import DECIMALS
from qsm_core.detection.recordings import rows_of

ExportForm = Literal["raven", "raven-combined", "audacity", "csv", "rttm"]
EXPORT_FORMS: tuple[ExportForm, ...] = get_args(ExportForm)
RAVEN_ENDING = ".Table.1.selections.txt"
AUDACITY_ENDING = ".labels.txt"
_NOTHING = "<NA>"
_RAVEN = {
    "Selection": None,
    "View": None,
    "Channel": None,
    "Begin Time (s)": "begin_s",
    "End Time (s)": "end_s",
    "Low Freq (Hz)": "low_hz",
    "High Freq (Hz)": "high_hz",
    "Begin Path": None,
    "File Offset (s)": None,
    "Annotation": "label",
    "Quality": "quality",
    "Score": "score",
    "Peak": "peak",
    "Verdict": "verdict",
}


def export_events(
    folder: Path,
    events: pd.DataFrame,
    recordings: Mapping[str, float],
    forms: Iterable[ExportForm] = EXPORT_FORMS,
) -> list[Path]:
    """Write events in the given forms and return the files.

    Args:
        folder: Each form has a folder of its own below it.
        events: A table of annotations or detections.
        recordings: All recordings and their lengths in seconds; those without an event have tables
            with a header alone, which says so.
        forms: Which forms to write.
    """
    writers: dict[str, Callable[[Path, pd.DataFrame, Mapping[str, float]], list[Path]]] = {
        "raven": write_raven,
        "raven-combined": write_combined_raven,
        "audacity": write_audacity,
        "csv": write_csv,
        "rttm": write_rttm,
    }
    return [path for form in forms for path in writers[form](folder / form, events, recordings)]


def write_raven(folder: Path, events: pd.DataFrame, recordings: Mapping[str, float]) -> list[Path]:
    """Write one selection table for each recording."""
    written = []
    for path, own, _ in _by_recording(folder, events, recordings, RAVEN_ENDING):
        columns = [name for name in _RAVEN if name not in ("Begin Path", "File Offset (s)")]
        _write_lines(path, _raven_lines(own, columns, {}))
        written.append(path)
    return written


def write_combined_raven(
    folder: Path, events: pd.DataFrame, recordings: Mapping[str, float]
) -> list[Path]:
    """Write one selection table for all recordings, as if Raven had opened them together.

    Begin and End Time run on over the recordings in the order of their names; Begin Path and File
    Offset say where an event is in its own file.
    """
    starts: dict[str, float] = {}
    total = 0.0
    for name in sorted(recordings):
        starts[name] = total
        total += recordings[name]
    path = folder / f"all{RAVEN_ENDING}"
    _write_lines(path, _raven_lines(events, list(_RAVEN), starts))
    return [path]


def write_audacity(
    folder: Path, events: pd.DataFrame, recordings: Mapping[str, float]
) -> list[Path]:
    """Write one file of labels for each recording; an empty one for a recording without events."""
    written = []
    for path, own, _ in _by_recording(folder, events, recordings, AUDACITY_ENDING):
        lines = []
        for row in rows_of(own):
            lines.append("\t".join((_text(row.begin_s), _text(row.end_s), _clean(row.label))))
            if not (pd.isna(row.low_hz) and pd.isna(row.high_hz)):
                edges = [-1.0 if pd.isna(edge) else edge for edge in (row.low_hz, row.high_hz)]
                lines.append("\t".join(("\\", *map(_text, edges))))
        _write_lines(path, lines)
        written.append(path)
    return written


def write_csv(folder: Path, events: pd.DataFrame, _recordings: Mapping[str, float]) -> list[Path]:
    """Write one CSV with all columns of the table."""
    path = folder / "events.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    times = {name: events[name].round(DECIMALS) for name in ("begin_s", "end_s")}
    events.assign(**times).to_csv(path, index=False, lineterminator="\n")
    return [path]


def write_rttm(folder: Path, events: pd.DataFrame, _recordings: Mapping[str, float]) -> list[Path]:
    """Write one RTTM file; blanks in names are written as no-break spaces."""
    path = folder / "events.rttm"
    scores = events["score"] if "score" in events else pd.Series(float("nan"), index=events.index)
    lines = [
        " ".join(
            (
                "SPEAKER",
                _word(base_name(str(row.recording_id))),
                "1",
                _text(row.begin_s),
                _text(_rounded(row.end_s) - _rounded(row.begin_s)),
                _NOTHING,
                _NOTHING,
                _word(str(row.label)),
                _NOTHING if pd.isna(score) else _text(score, None),
                _NOTHING,
            )
        )
        for row, score in zip(rows_of(events), scores, strict=True)
    ]
    _write_lines(path, lines)
    return [path]


def _by_recording(
    folder: Path, events: pd.DataFrame, recordings: Mapping[str, float], ending: str
) -> Iterator[tuple[Path, pd.DataFrame, str]]:
    names = sorted({*recordings, *events["recording_id"].astype(str)})
    # Names that differ only in small and capital letters are one file on some systems.
    bases = Counter(_without_suffix(name).lower() for name in names)
    groups = {str(name): rows for name, rows in events.groupby("recording_id")}
    for name in names:
        plain = _without_suffix(name)
        table = name if bases[plain.lower()] > 1 else plain
        parts = [part for part in PurePosixPath(table).parts if part not in ("/", "..")]
        place = folder.joinpath(*parts)
        yield place.with_name(place.name + ending), groups.get(name, events.iloc[:0]), name


def _without_suffix(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{base_name(file)}"


def _raven_lines(
    events: pd.DataFrame, columns: list[str], starts: Mapping[str, float]
) -> list[str]:
    kept = [name for name in columns if _RAVEN[name] is None or _RAVEN[name] in events.columns]
    lines = ["\t".join(kept)]
    for number, row in enumerate(events.to_dict("records"), 1):
        name = str(row["recording_id"])
        start = starts.get(name, 0.0)
        has_band = not (pd.isna(row["low_hz"]) or pd.isna(row["high_hz"]))
        cells = {
            "Selection": str(number),
            "View": "Spectrogram 1" if has_band else "Waveform 1",
            "Channel": "1",
            "Begin Time (s)": _text(_rounded(row["begin_s"]) + start),
            "End Time (s)": _text(_rounded(row["end_s"]) + start),
            "Begin Path": name,
            "File Offset (s)": _text(row["begin_s"]),
        }
        values = [cells.get(column) or _cell(row.get(str(_RAVEN[column]))) for column in kept]
        lines.append("\t".join(values))
    return lines


def _cell(value: object) -> str:
    if value is None or pd.isna(value):  # type: ignore[call-overload]
        return ""
    return _text(value, None) if isinstance(value, float) else _clean(value)


def _text(value: float, decimals: int | None = DECIMALS) -> str:
    """Return a number as short as it can be without another value."""
    number = float(value) if decimals is None else round(float(value), decimals)
    text = repr(number)
    return f"{number:.{DECIMALS}f}".rstrip("0") if "e" in text and decimals is not None else text


def _rounded(seconds: float) -> float:
    return round(float(seconds), DECIMALS)


def _clean(value: object) -> str:
    return " ".join(str(value).split())


def _word(text: str) -> str:
    return "\u00a0".join(text.split(" ")) or _NOTHING


def _write_lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
