"""Score tracks: what a detector makes of one recording, kept so that it never has to look again.

Every threshold, coarser hop, post-processing and metric is a function of a track, on a CPU.

Row n of a track is the score of the window of samples

    start_sample + n * hop_samples  <=  sample  <  start_sample + n * hop_samples + window_samples

in a clock of `sample_rate_hz`, that of the detector, which need not be that of the file. Sample 0
is the first sample of the recording. A window may begin before it (frames that are padded) or end
behind its last sample; an event is cut to the recording. All positions are integers: seconds in
floating point drift over a day of audio.

A track is a parquet file with one column `logit` (float32; the log odds of the sound, so that 0 is
a probability of one half) and everything else in the metadata of its schema. Equal tracks give
equal bytes.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from qsm_core.errors import DataError
from qsm_core.store.digests import digest_bytes

LogitArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

SUFFIX = ".parquet"
_METADATA = b"qsm_score_track"
_SCHEMA_VERSION = 1
_LONGEST_NAME = 200  # bytes; file systems allow 255


@dataclass(frozen=True)
class TrackInfo:
    """What a track says about itself.

    Args:
        recording_id: Of the recording that was scored.
        label: The sound whose log odds are given.
        sample_rate_hz: Clock of all positions: the rate at which the detector listens.
        num_samples: Length of the recording in this clock.
        start_sample: Begin of the first window; may be negative.
        hop_samples: From the begin of one window to that of the next.
        window_samples: Length of a window: what one score is about.
        detector: Name of the detector.
        detector_digest: Of the detector's weights and settings.
        audio_digest: SHA-256 of the audio file.
    """

    recording_id: str
    label: str
    sample_rate_hz: int
    num_samples: int
    start_sample: int
    hop_samples: int
    window_samples: int
    detector: str
    detector_digest: str
    audio_digest: str

    def __post_init__(self) -> None:
        positive = ("sample_rate_hz", "hop_samples", "window_samples")
        problems = [
            f"{name} = {getattr(self, name)!r}: must be a whole number of 1 or more"
            for name in positive
            if not _is_whole(getattr(self, name)) or getattr(self, name) < 1
        ]
        problems += [
            f"{name} = {getattr(self, name)!r}: must be a whole number"
            for name in ("num_samples", "start_sample")
            if not _is_whole(getattr(self, name))
        ]
        if problems:
            raise DataError(f"the score track of {self.recording_id!r} cannot be used", problems)

    @property
    def duration_s(self) -> float:
        """Length of the recording in seconds."""
        return self.num_samples / self.sample_rate_hz


@dataclass(frozen=True, eq=False)
class ScoreTrack:
    """The scores of one recording.

    Args:
        info: What they are about.
        logit: float32, shape (N,): the log odds of each window.
    """

    info: TrackInfo
    logit: LogitArray

    def __post_init__(self) -> None:
        if self.logit.ndim != 1 or self.logit.dtype != np.float32:
            problem = f"logit {self.logit.dtype} {self.logit.shape}: give float32 of shape (N,)"
            raise DataError(f"the score track of {self.info.recording_id!r} is none", [problem])
        if not np.isfinite(self.logit).all():
            row = int(np.flatnonzero(~np.isfinite(self.logit))[0])
            problem = f"logit: row {row} is {self.logit[row]}; every score must be finite"
            raise DataError(f"the score track of {self.info.recording_id!r} is none", [problem])

    def __len__(self) -> int:
        return len(self.logit)

    @property
    def begins(self) -> IntArray:
        """First sample of each window, shape (N,)."""
        return self.info.start_sample + self.info.hop_samples * np.arange(len(self), dtype=np.int64)

    def with_hop(self, hop_samples: int) -> ScoreTrack:
        """Return the track with a coarser hop: the windows that a coarser pass would have scored.

        Raises:
            DataError: The hop is no multiple of the track's own.
        """
        step, rest = divmod(hop_samples, self.info.hop_samples)
        if rest or step < 1:
            raise DataError(
                f"the score track of {self.info.recording_id!r} has no such hop",
                [
                    f"hop_samples = {hop_samples}: must be a multiple of {self.info.hop_samples}, "
                    "the hop with which it was scored"
                ],
            )
        return ScoreTrack(replace(self.info, hop_samples=hop_samples), self.logit[::step])


def write_track(folder: Path, track: ScoreTrack) -> Path:
    """Write a track into a folder of tracks and return its file.

    A reader sees no file or a whole one, so a file that is there is finished.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / track_file_name(track.info.recording_id)
    text = json.dumps({"version": _SCHEMA_VERSION, **asdict(track.info)}, sort_keys=True)
    schema = pa.schema(
        [pa.field("logit", pa.float32(), nullable=False)], metadata={_METADATA: text.encode()}
    )
    temporary = path.with_name(f".{secrets.token_hex(8)}.{os.getpid()}")
    try:
        # Floats hardly repeat: a dictionary of them would only make the file larger.
        table = pa.table([pa.array(track.logit)], schema=schema)
        pq.write_table(table, temporary, compression="zstd", use_dictionary=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_track(path: Path) -> ScoreTrack:
    """Read a track.

    Raises:
        DataError: The file is missing, damaged or no score track.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError("cannot read the score track", [f"{path}: {error}"]) from error
    info = _info(table.schema.metadata, path)
    if table.column_names != ["logit"] or table.schema.field("logit").type != pa.float32():
        columns = ", ".join(f"{field.name} ({field.type})" for field in table.schema)
        raise DataError(
            "cannot read the score track",
            [f"{path}: columns {columns}; a score track has one, logit (float)"],
        )
    return ScoreTrack(info, table.column("logit").to_numpy().astype(np.float32, copy=False))


def read_track_info(path: Path) -> TrackInfo:
    """Read what a track says about itself, without its scores.

    Raises:
        DataError: As for `read_track`.
    """
    try:
        metadata = pq.read_schema(path).metadata
    except (OSError, pa.ArrowException) as error:
        raise DataError("cannot read the score track", [f"{path}: {error}"]) from error
    return _info(metadata, path)


def read_tracks(folder: Path) -> Iterator[ScoreTrack]:
    """Yield the tracks of a folder, in the order of their file names."""
    for path in track_files(folder):
        yield read_track(path)


def track_files(folder: Path) -> list[Path]:
    """Return the files of a folder of tracks, sorted by name."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def track_file_name(recording_id: str) -> str:
    """Return the name of a recording's track: one that no other recording has.

    Dots and blanks stay, slashes are escaped; a name that is too long for a file is cut, and a
    digest of the whole is put behind it.
    """
    name = quote(recording_id, safe=" +-_.,()")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[: _LONGEST_NAME - 33]}-{digest_bytes(recording_id.encode())[:32]}"
    return name + SUFFIX


def _info(metadata: dict[bytes, bytes] | None, path: Path) -> TrackInfo:
    text = (metadata or {}).get(_METADATA)
    if text is None:
        problem = f"{path}: is no score track: its schema does not say of what"
        raise DataError("cannot read the score track", [problem])
    values: dict[str, Any] = json.loads(text)
    version = values.pop("version", None)
    names = {field.name for field in fields(TrackInfo)}
    if version != _SCHEMA_VERSION or set(values) != names:
        raise DataError(
            "cannot read the score track",
            [
                f"{path}: version {version!r} of the format, with {', '.join(sorted(values))}; "
                f"this program reads version {_SCHEMA_VERSION}: score the recording again"
            ],
        )
    return TrackInfo(**values)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
