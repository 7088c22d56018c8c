"""Clips of events as WAV files, for listening and for other programs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import soundfile

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
    own = events[events["recording_id"] == recording.recording_id]
    folder.mkdir(parents=True, exist_ok=True)
    stem = base_name(recording.recording_id.replace("/", "-"))
    written = []
    try:
        with soundfile.SoundFile(recording.path) as stream:
            rate = stream.samplerate
            is_wav = soundfile.check_format("WAV", stream.subtype)
            for number, event in enumerate(rows_of(own), 1):
                span = event.begin_s - padding_s, event.end_s + padding_s
                mono = read_stretch(stream, *span, recording.channel, "float64")
                times = f"{round(1000 * event.begin_s):07d}_{round(1000 * event.end_s):07d}"
                path = folder / f"{stem}_{times}_{number:05d}.wav"
                soundfile.write(path, mono, rate, subtype=stream.subtype if is_wav else "PCM_16")
                written.append(path)
    except (OSError, RuntimeError) as error:
        problem = f"{recording.path}: cannot be cut into clips ({error})"
        raise DataError("the clips cannot be written", [problem]) from error
    return written
