"""What the columns of a table of events mean, by their names.

Names are compared in small letters with everything else than letters and digits as one underscore:
`Begin Time (s)` is begin_time_s. Units are said by the end of a name; without one it is seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_BEGIN = ("begin_time", "begin", "start", "start_time", "starttime", "onset", "t_start", "t_begin")
_END = ("end_time", "end", "stop", "stop_time", "endtime", "offset", "t_end", "t_stop")
_LENGTH = ("delta_time", "duration", "dur", "length")
_FILE = (
    "recording_id",
    "recording",
    "begin_path",
    "begin_file",
    "audiofilename",
    "filename",
    "file_name",
    "file",
    "path",
    "filepath",
    "audio_path",
    "audio_file",
    "audio",
    "wav",
    "wav_file",
    "sound_file",
    "tape",
)
_LOW = ("low_freq_hz", "low_hz", "low_freq", "low_frequency", "min_freq", "fmin", "low_f")
_HIGH = ("high_freq_hz", "high_hz", "high_freq", "high_frequency", "max_freq", "fmax", "high_f")
LABEL = (
    "annotation",
    "species",
    "sound_type",
    "label",
    "event_label",
    "labels",
    "class",
    "tag",
    "tags",
    "common_name",
    "scientific_name",
    "species_code",
    "call_type",
    "type",
    "category",
    "name",
)
_QUALITY = ("quality", "q")
_SCORE = ("score", "confidence", "probability", "prob", "cnn_logit_mean")
_UNITS = {
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1000.0,
    "msec": 1000.0,
    "millisecond": 1000.0,
    "milliseconds": 1000.0,
}


class Time(NamedTuple):
    """A column of times: its position, and how many of its units are a second."""

    column: int
    per_second: float


@dataclass(frozen=True)
class Columns:
    """Positions of columns; None for those that a table lacks.

    `others` are the columns without a meaning, by name.
    """

    begin: Time | None
    end: Time | None
    length: Time | None
    file_offset: Time | None
    file: int | None
    low: int | None
    high: int | None
    label: int | None
    quality: int | None
    comments: int | None
    is_unsure: int | None
    score: int | None
    peak: int | None
    verdict: int | None
    selection: int | None
    view: int | None
    others: tuple[tuple[str, int], ...]

    @property
    def are_events(self) -> bool:
        """Whether the columns are those of a table of events."""
        return self.begin is not None and (self.end is not None or self.length is not None)


def find_columns(header: Sequence[str], label_column: str | None = None) -> Columns:
    """Return the meaning of each column of a header.

    Args:
        header: The names.
        label_column: The column with the labels, where its name is not a usual one.
    """
    names = [simple_name(name) for name in header]
    used: set[int] = set()

    def take(*wanted: str) -> int | None:
        for name in wanted:
            if name in names and names.index(name) not in used:
                used.add(names.index(name))
                return names.index(name)
        return None

    def time(*wanted: str) -> Time | None:
        for name in wanted:
            for unit, per_second in (("", 1.0), *_UNITS.items()):
                place = take(f"{name}_{unit}" if unit else name)
                if place is not None:
                    return Time(place, per_second)
        return None

    given = [] if label_column is None else [simple_name(label_column)]
    label = take(*given)
    found = {
        "begin": time(*_BEGIN),
        "end": time(*_END),
        "length": time(*_LENGTH),
        "file_offset": time("file_offset"),
        "file": take(*_FILE),
        "low": take(*_LOW),
        "high": take(*_HIGH),
        "label": label if label is not None else take(*LABEL),
        "quality": take(*_QUALITY),
        "comments": take("comments", "comment", "notes"),
        "is_unsure": take("is_unsure"),
        "score": take(*_SCORE),
        "peak": take("peak"),
        "verdict": take("verdict"),
        "selection": take("selection"),
        "view": take("view"),
    }
    take("begin_path")
    take("begin_file")
    take("channel")
    rest = ((header[i].strip(), i) for i in range(len(names)) if i not in used and names[i])
    return Columns(**found, others=tuple(rest))  # type: ignore[arg-type]


def simple_name(name: str) -> str:
    """Return a column's name in small letters, with single underscores."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")
