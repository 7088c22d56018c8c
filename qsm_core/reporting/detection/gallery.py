"""Hits, misses and false alarms that a reader can see and hear."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from qsm_core.detection.audio_stream import read_stretch
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import Recording
from qsm_core.reporting.page.sections import SoundView
from qsm_core.reporting.page.sounds import sound_of, sound_view

_AROUND_S = 0.5  # heard before and behind an event
_LONGEST_S = 4.0
_AUDIBLE_HZ = 48_000  # a recording with a higher rate is played slowed down


def gallery(
    examples: pd.DataFrame, prepared: Path, titles: Mapping[str, str], audio: str | None
) -> list[SoundView]:
    """Return a player for each example whose recording can be read.

    Args:
        examples: As `benchmark.examples` chooses them.
        prepared: The prepared set.
        titles: Of the detectors.
        audio: Folder of the audio, where that is not the prepared set's.
    """
    recordings = {one.recording_id: one for one in read_prepared(prepared, audio=audio).listed()}
    views = []
    for row in examples.to_dict("records"):
        recording = recordings[row["recording_id"]]
        begin_s = max(0.0, row["begin_s"] - _AROUND_S)
        end_s = min(row["end_s"] + _AROUND_S, begin_s + _LONGEST_S)
        samples, slower = _heard(recording, begin_s, end_s)
        rate = recording.sample_rate_hz // slower
        name = f"{titles[row['detector']]}: {row['outcome']}"
        score = "" if pd.isna(row["score"]) else f", score {row['score']:.2f}"
        played = "" if slower == 1 else f", played {slower} times slower"
        views.append(
            sound_view(
                sound_of(samples, rate),
                title=name.capitalize() if name[0].islower() else name,
                text=f"{recording.recording_id}, {row['begin_s']:.2f} to "
                f"{row['end_s']:.2f} s{score}{played}",
                label=f"{name} in {recording.recording_id}",
                heard=f"{recording.recording_id} from {begin_s:.2f} to {end_s:.2f} s",
            )
        )
    return views


def _heard(recording: Recording, begin_s: float, end_s: float) -> tuple[np.ndarray, int]:
    """Return a stretch of a recording, scaled to be audible, and how much slower it is played."""
    rate = recording.sample_rate_hz
    with soundfile.SoundFile(recording.path) as file:
        mono = read_stretch(file, begin_s, end_s, recording.channel)
    peak = float(np.abs(mono).max(initial=0.0)) or 1.0
    slower = 1
    while rate // slower > _AUDIBLE_HZ:
        slower += 1
    return np.asarray(mono * (0.7 / peak), dtype=np.float32), slower
