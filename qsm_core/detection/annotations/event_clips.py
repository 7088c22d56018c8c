"""Clips of events as WAV files, for listening and for other programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from qsm_core.audio.writing import write_audio
from qsm_core.detection.annotations.audio_files import base_name
from qsm_core.detection.audio_stream import read_stretch
from qsm_core.detection.recordings import Recording, rows_of
from qsm_core.errors import DataError


def write_event_clips(
    folder: Path, recording: Recording, events: pd.DataFrame, *, padding_s: float = 0.0
) -> list[Path]:
    """Write a clip of each event of one recording and return the files.

    They are named `<recording>_<begin ms>_<end ms>_<number>.wav`; samples are those of the
    recording, at its rate, in the channel that was listened to.

    Args:
        folder: Where to write them.
        recording: The recording.
        events: Its events; those of other recordings are left out.
        padding_s: How much more is taken before and behind, as far as the recording goes.

    Raises:
        DataError: The audio cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = base_name(recording.recording_id.replace("/", "-"))
    own = events[events["recording_id"] == recording.recording_id]
    written: list[Path] = []
    for times, samples, subtype in _cut(recording, own, padding_s):
        path = folder / f"{stem}_{times}_{len(written) + 1:05d}.wav"
        write_audio(path, samples, recording.sample_rate_hz, subtype=subtype)
        written.append(path)
    return written


def _cut(
    recording: Recording, events: pd.DataFrame, padding_s: float
) -> Iterator[tuple[str, np.ndarray, str]]:
    """Yield the times of each event, its samples, and the form of a sample."""
    try:
        with soundfile.SoundFile(recording.path) as stream:
            is_wav = soundfile.check_format("WAV", stream.subtype)
            subtype = stream.subtype if is_wav else "PCM_16"
            for event in rows_of(events):
                span = event.begin_s - padding_s, event.end_s + padding_s
                times = f"{round(1000 * event.begin_s):07d}_{round(1000 * event.end_s):07d}"
                yield times, read_stretch(stream, *span, recording.channel, "float64"), subtype
    except (OSError, RuntimeError) as error:
        problem = f"{recording.path}: cannot be cut into clips ({error})"
        raise DataError("the clips cannot be written", [problem]) from error
