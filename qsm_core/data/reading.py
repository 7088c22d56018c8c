"""Reading the clips of a manifest: decoded, checked, cut, in the order of the table.

No exception is raised for a bad clip: it is returned with its problems, so that all problems of all
clips can be reported together. A file that adjacent rows are cut from is read once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.framing import center_crop, num_samples
from qsm_core.audio.level import Waveform, amplitude, dbfs, peak_normalize, rms
from qsm_core.audio.reading import SUFFIXES, Recording, read_audio
from qsm_core.data.config import PrepareConfig, ShortClips
from qsm_core.data.manifest import ManifestTable
from qsm_core.errors import DataError
from qsm_core.spelling import printable

LOWEST_RATE_HZ = 4_000
HIGHEST_RATE_HZ = 192_000
SHORTEST_CLIP_MS = 20
# Scaled to full peak, a recording below this level would be mostly quantisation noise.
SILENCE_DBFS = -70.0
# Rendered clips are padded at -80 dBFS: a file at that level is nothing but padding.
RENDERED_SILENCE_DBFS = -78.0
PEAK = 0.9
# A constant offset is not heard. Below a hundredth of a clip's power it moves no level by more
# than 0.05 dB; from there on it is taken out, since levels and SNR would be those of the offset.
LARGEST_OFFSET_SHARE = 0.01

_FILES_AT_ONCE = 64

Report = Callable[[int, int, str], None]


@dataclass(frozen=True)
class CutSettings:
    """How clips are cut.

    Args:
        clip_ms: Length of a clip; a longer one loses its ends.
        short_clips: What happens to a shorter clip: refuse it, or keep it at its own length.
        longest_s: A file that is to be one clip and lasts longer than this is refused.
        headroom_db: How far below 0.9 the peak of a clip is set.
    """

    clip_ms: int = PrepareConfig.clip_ms
    short_clips: ShortClips = PrepareConfig.short_clips
    longest_s: float = 60.0
    headroom_db: float = PrepareConfig.headroom_db


@dataclass(frozen=True)
class ClipProblem:
    """What is wrong with a clip, or with the table as a whole (row and path None)."""

    text: str
    kind: str
    row: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        """Return the problem with its file and row."""
        return self.text if self.row is None else f"row {self.row} ({self.path}): {self.text}"


@dataclass(frozen=True, eq=False)
class ReadClip:
    """One row of the table after reading.

    Args:
        row: Its index in the table.
        waveform: float32, shape (T,), 16 kHz; None where there are problems.
        problems: What is wrong.
        source_rate_hz: Rate of the file; 0 where it could not be read.
        channels: Channels of the file; 0 where it could not be read.
        cut: How it got its length: whole, cropped, span, short or rendered.
        sha256: Of the file.
        offset_removed: A constant offset was taken out of the clip.
        gain: Factor that set its peak; 1 where it was not changed.
        source_ms: Length of the file, or of the part that the table names, before it was cut.
    """

    row: int
    waveform: Waveform | None
    problems: tuple[ClipProblem, ...] = ()
    source_rate_hz: int = 0
    channels: int = 0
    cut: str = ""
    sha256: str | None = None
    offset_removed: bool = False
    gain: float = 1.0
    source_ms: float = 0.0


def read_clips(
    table: ManifestTable,
    settings: CutSettings,
    *,
    threads: int = 4,
    report: Report | None = None,
) -> Iterator[ReadClip]:
    """Read, check and cut every clip of a table, in its order.

    Args:
        table: The clips.
        settings: How they are cut.
        threads: Files read at the same time; changes no result.
        report: Called as `report(done, total, message)`.
    """
    spans = _spans_of_one_file(table.frame)
    done = 0
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for first in range(0, len(spans), _FILES_AT_ONCE):
            batch = spans[first : first + _FILES_AT_ONCE]
            for clips in pool.map(lambda rows: _read_file(table, rows, settings), batch):
                yield from clips
                done += len(clips)
                if report is not None:
                    report(done, len(table), "reading clips")


def _spans_of_one_file(frame: pd.DataFrame) -> list[range]:
    """Divide the rows into runs that are cut from the same file."""
    paths = frame["path"].astype("object")
    starts = np.flatnonzero((paths != paths.shift()).to_numpy())
    stops = [*starts[1:], len(frame)]
    return [range(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]


def _read_file(table: ManifestTable, rows: range, settings: CutSettings) -> list[ReadClip]:
    text = table.frame["path"].iloc[rows[0]]
    if pd.isna(text):
        return [_bad(row, None, "no path", "the row names no audio file") for row in rows]
    path = table.audio_path(str(text))
    refusal = _reason_not_to_open(path, table.root)
    if refusal is not None:
        return [_bad(row, str(text), *refusal) for row in rows]
    try:
        recording = read_audio(path, keep_faulty=True)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except (DataError, OSError) as error:
        reason = "; ".join(error.problems) if isinstance(error, DataError) else str(error)
        return [_bad(row, str(text), "unreadable", reason) for row in rows]
    faults = list(_file_faults(recording))
    return [_read_clip(table.frame, row, recording, settings, faults, sha256) for row in rows]


def _bad(row: int, path: str | None, kind: str, text: str) -> ReadClip:
    return ReadClip(row, None, (ClipProblem(text, kind, row, path),))


def _reason_not_to_open(path: Path, root: Path) -> tuple[str, str] | None:
    if path.is_symlink() and not path.exists():
        target = printable(str(path.readlink()))
        text = f"a link to {target}, which is not there; get its content (git annex get, dvc pull)"
        return "missing", text
    if not path.is_file():
        return (
            "missing",
            f"there is no such file in {root}; give audio_root if the paths were written for "
            "another folder",
        )
    if path.stat().st_size == 0:
        return "empty", "the file has 0 bytes"
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        return "format", f"{path.suffix} cannot be read; convert it to one of {known}"
    return None


def _file_faults(recording: Recording) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of each problem of the file as a whole."""
    rate_hz = recording.source_rate_hz
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        yield (
            "rate",
            f"a sample rate of {rate_hz} Hz; allowed is {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz",
        )
    if recording.fault is not None:
        yield "length", f"was cut off: {recording.fault}"


def _read_clip(
    frame: pd.DataFrame,
    row: int,
    recording: Recording,
    settings: CutSettings,
    faults: list[tuple[str, str]],
    sha256: str,
) -> ReadClip:
    values = frame.iloc[row]
    waveform, cut, cut_faults = _cut(recording.waveform, values, settings)
    problems = [*faults, *cut_faults]
    if not pd.isna(values["sha256"]) and values["sha256"] != sha256:
        problems.append(("changed", "the file is not the one of the manifest: its sha256 differs"))
    if not cut_faults:
        problems += _signal_faults(waveform, rendered=cut == "rendered")
    offset = _has_offset(waveform) and cut != "rendered"
    gain = 1.0
    if not problems and cut != "rendered":
        centred = waveform - waveform.mean(dtype=np.float64) if offset else waveform
        largest = float(np.abs(centred).max())
        waveform = peak_normalize(centred, PEAK * amplitude(-settings.headroom_db))
        gain = float(np.abs(waveform).max()) / largest
    path = str(values["path"])
    return ReadClip(
        row=row,
        waveform=None if problems else waveform,
        problems=tuple(ClipProblem(text, kind, row, path) for kind, text in problems),
        source_rate_hz=recording.source_rate_hz,
        channels=recording.channels,
        cut=cut,
        sha256=sha256,
        offset_removed=offset,
        gain=gain,
        source_ms=_source_ms(recording.waveform, values),
    )


def _source_ms(waveform: Waveform, values: pd.Series) -> float:
    start_ms = 0.0 if pd.isna(values["start_ms"]) else float(values["start_ms"])
    stop_ms = values["stop_ms"]
    return (_milliseconds(waveform) if pd.isna(stop_ms) else float(stop_ms)) - start_ms


def _cut(
    waveform: Waveform, values: pd.Series, settings: CutSettings
) -> tuple[Waveform, str, list[tuple[str, str]]]:
    """Return the clip, how it was cut, and what is wrong with its length."""
    cut = "whole"
    lasts_ms = _milliseconds(waveform)
    if not (pd.isna(values["start_ms"]) and pd.isna(values["stop_ms"])):
        cut = "span"
        start_ms = 0.0 if pd.isna(values["start_ms"]) else float(values["start_ms"])
        stop_ms = lasts_ms if pd.isna(values["stop_ms"]) else float(values["stop_ms"])
        if num_samples(stop_ms) > waveform.size or start_ms >= stop_ms:
            text = f"the clip is {start_ms:g} to {stop_ms:g} ms, the file lasts {lasts_ms:.0f} ms"
            return waveform, cut, [("span", text)]
        waveform = waveform[num_samples(start_ms) : num_samples(stop_ms)]
        lasts_ms = _milliseconds(waveform)
    if lasts_ms > settings.longest_s * 1000:
        text = (
            f"lasts {lasts_ms / 1000:.1f} s; a clip may last {settings.longest_s:g} s: cut it, or "
            "give start_ms and stop_ms"
        )
        return waveform, cut, [("too long", text)]
    if not pd.isna(values["condition"]):
        return waveform, "rendered", []
    return _cut_to_length(waveform, cut, settings)


def _cut_to_length(
    waveform: Waveform, cut: str, settings: CutSettings
) -> tuple[Waveform, str, list[tuple[str, str]]]:
    wanted = num_samples(settings.clip_ms)
    if waveform.size > wanted:
        return center_crop(waveform, wanted), "cropped", []
    if waveform.size == wanted:
        return waveform, cut, []
    lasts_ms = _milliseconds(waveform)
    if settings.short_clips == "keep" and lasts_ms >= SHORTEST_CLIP_MS:
        return waveform, "short", []
    allowed = (
        f"{settings.clip_ms} ms are needed; give a smaller clip_ms or short_clips=keep"
        if settings.short_clips == "refuse"
        else f"the shortest allowed is {SHORTEST_CLIP_MS} ms"
    )
    return waveform, cut, [("too short", f"lasts {lasts_ms:g} ms; {allowed}")]


def _signal_faults(waveform: Waveform, *, rendered: bool) -> list[tuple[str, str]]:
    if not np.isfinite(waveform).all():
        return [("not finite", "holds NaN or infinite values")]
    limit = RENDERED_SILENCE_DBFS if rendered else SILENCE_DBFS
    level = dbfs(waveform - waveform.mean(dtype=np.float64))
    if level < limit:
        beside = " beside a constant offset" if dbfs(waveform) >= limit else ""
        text = (
            f"silent: {level:.0f} dBFS{beside} in the part that is used, the limit is "
            f"{limit:g} dBFS"
        )
        return [("silent", text)]
    return []


def _has_offset(waveform: Waveform) -> bool:
    if waveform.size == 0 or not np.isfinite(waveform).all():
        return False
    offset = abs(float(waveform.mean(dtype=np.float64)))
    return bool(offset > math.sqrt(LARGEST_OFFSET_SHARE) * rms(waveform))


def _milliseconds(waveform: Waveform) -> float:
    return waveform.size * 1000 / SAMPLE_RATE_HZ
