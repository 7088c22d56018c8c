"""ESC-50 as downloaded: `audio/*.wav` and `meta/esc50.csv`; all 50 classes are NONSPEECH.

File names are `<fold>-<clip id>-<take>-<class>.wav`. The group is `<fold>-<clip id>`, the
recording at Freesound, so that the takes of one recording stay together. Many of the 5 s files
are padded with digital silence: of each, the window of `clip_ms` with the most energy is taken.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from qsm_core.audio.reading import read_samples
from qsm_core.data.importers.protocol import Importer, ImportOptions
from qsm_core.data.manifest import ManifestTable, make_table, read_frame, records_of
from qsm_core.errors import DataError
from qsm_core.labels import Label

KIND: Final = "esc50"
LICENCE = "CC BY-NC 3.0"
LICENCE_ESC10 = "CC BY 3.0"
HOP_MS = 50
_NAME = re.compile(r"^(?P<recording>\d-\d+)-(?P<take>[A-Z])-(?P<target>\d+)\.wav$")


def recognizes(path: Path) -> bool:
    """Say whether a folder has the layout of ESC-50."""
    return (path / "meta" / "esc50.csv").is_file() and (path / "audio").is_dir()


def read(path: Path, options: ImportOptions) -> ManifestTable:
    """Make the manifest of an ESC-50 folder.

    Raises:
        DataError: The table lacks a column or has a file name of another form.
    """
    frame = read_frame(path / "meta" / "esc50.csv")
    missing = [name for name in ("filename", "category", "esc10") if name not in frame]
    if missing:
        raise DataError(
            f"{path} is no ESC-50 folder", [f"meta/esc50.csv: missing column {n}" for n in missing]
        )
    rows = records_of(frame)
    bad = [row["filename"] for row in rows if not _NAME.match(row["filename"])]
    if bad:
        text = "needed is <fold>-<clip id>-<take>-<class>.wav"
        raise DataError(f"{path} cannot be used", [f"file name {name!r}: {text}" for name in bad])
    with ThreadPoolExecutor(max_workers=4) as pool:
        files = [path / "audio" / row["filename"] for row in rows]
        starts = list(pool.map(lambda file: loudest_start_ms(file, options.clip_ms), files))
    records = [_record(row, start, options) for row, start in zip(rows, starts, strict=True)]
    note = f"of each file the {options.clip_ms} ms with the most energy were taken"
    return make_table(records, path, KIND, origin=path, notes=[note])


def loudest_start_ms(file: Path, clip_ms: int) -> float | None:
    """Return where the window of `clip_ms` with the most energy starts, on a grid of 50 ms.

    Args:
        file: An audio file.
        clip_ms: Length of the window.

    Returns:
        The start in ms; the first of equally loud windows. None for a file that cannot be read or
        is not longer than the window: the check of the clips reports what is wrong with it.
    """
    try:
        decoded = read_samples(file)
    except DataError:
        return None
    samples, rate_hz = decoded.samples, decoded.rate_hz
    window = round(clip_ms * rate_hz / 1000)
    if samples.size <= window:
        return None
    energy = np.square(samples - samples.mean(dtype=np.float64), dtype=np.float64)
    total = np.concatenate([[0.0], np.cumsum(energy)])
    hop = max(1, round(HOP_MS * rate_hz / 1000))
    starts = np.arange(0, samples.size - window + 1, hop)
    loudest = int(np.argmax(total[starts + window] - total[starts]))
    return float(loudest * HOP_MS)


def _record(row: dict[str, Any], start: float | None, options: ImportOptions) -> dict[str, Any]:
    match = _NAME.match(row["filename"])
    recording = match["recording"] if match else ""
    return {
        "clip_id": f"esc50_{Path(row['filename']).stem}",
        "group_id": f"esc50_{recording}",
        "path": f"audio/{row['filename']}",
        "start_ms": start,
        "stop_ms": None if start is None else start + options.clip_ms,
        "label": Label.NONSPEECH.value,
        "source": options.source or KIND,
        "category": row["category"],
        "licence": LICENCE_ESC10 if row["esc10"] == "True" else LICENCE,
    }


IMPORTER = Importer(KIND, "ESC-50: a folder with audio/ and meta/esc50.csv", recognizes, read)
