"""tracks.csv: which audio the tracks of an output are of, so that no audio is scored twice.

Tracks are known by what was heard, a file's SHA-256 and a channel, and by the detector: a file that
was renamed, or lies in another set, has its track already.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path

INDEX_FILE = "tracks.csv"
TRACKS = "tracks"
MIXED = ""  # all channels, mixed


@dataclass(frozen=True)
class Heard:
    """What was heard: the SHA-256 of a file, and the channel as text (`MIXED`: all)."""

    sha256: str
    channel: str


@dataclass(frozen=True)
class KeptTrack:
    """A row of the index: what was heard, by what, and the name of the track's file."""

    sha256: str
    channel: str
    detector_digest: str
    track: str


def heard(sha256: str, channel: int | None) -> Heard:
    """Return what is heard of a recording."""
    return Heard(sha256, MIXED if channel is None else str(channel))


def write_index(folder: Path, tracks: Iterable[KeptTrack]) -> None:
    """Write the index of the tracks of an output."""
    with (folder / INDEX_FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(KeptTrack)])
        writer.writerows(astuple(track) for track in tracks)


def read_indices(folders: Iterable[Path], detector_digest: str | None) -> Mapping[Heard, Path]:
    """Return the tracks in outputs, by what was heard.

    Args:
        folders: Outputs of the stage that scores.
        detector_digest: Of the detector; None: whichever.
    """
    found = {}
    for folder in folders:
        with (folder / INDEX_FILE).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if detector_digest in (None, row["detector_digest"]):
                    place = folder / TRACKS / row["track"]
                    found[Heard(row["sha256"], row["channel"])] = place
    return found
