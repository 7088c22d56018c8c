"""Short recordings with tones as events, for tests of detection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from qsm_core.detection.annotations.own_tables import write_own_tables
from qsm_core.detection.recordings import RecordingSet, as_annotations, as_recordings
from qsm_core.store.digests import digest_file

RATE_HZ = 8000
TONE_HZ = 1500
TONE_S = 0.25


def write_tones(
    folder: Path, splits: tuple[str, ...] = ("train", "train", "dev", "test"), seconds: float = 8.0
) -> Path:
    """Write a prepared set: one recording a split given, noise with a tone every two seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, events = [], []
    for number, split in enumerate(splits):
        rng = np.random.default_rng(number)
        samples = rng.normal(0, 0.01, round(seconds * RATE_HZ))
        name = f"rec{number}"
        for begin_s in np.arange(0.6, seconds - 1, 2.0) + rng.uniform(-0.3, 0.3):
            first = round(begin_s * RATE_HZ)
            times = np.arange(round(TONE_S * RATE_HZ)) / RATE_HZ
            samples[first : first + len(times)] += 0.1 * np.sin(2 * np.pi * TONE_HZ * times)
            events.append(
                {
                    "recording_id": name,
                    "begin_s": first / RATE_HZ,
                    "end_s": first / RATE_HZ + TONE_S,
                    "label": "tone",
                }
            )
        path = folder / f"{name}.wav"
        soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
        rows.append(
            {
                "recording_id": name,
                "group_id": f"tape{number}",
                "path": path.name,
                "sample_rate_hz": RATE_HZ,
                "channels": 1,
                "num_samples": len(samples),
                "sha256": digest_file(path),
                "split": split,
            }
        )
    tables = as_recordings(pd.DataFrame(rows)), as_annotations(pd.DataFrame(events))
    write_own_tables(folder, RecordingSet(*tables, folder, kind="test"))
    return folder
