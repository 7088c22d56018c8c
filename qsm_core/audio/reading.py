"""Reading audio files: any format of libsndfile, any rate, mixed down to one channel.

Resampling is soxr's high-quality setting, so a 48 kHz file and its 16 kHz copy agree below 7 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform
from qsm_core.errors import DataError

SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif")


@dataclass(frozen=True)
class Recording:
    """One audio file in memory.

    Args:
        waveform: float32, shape (T,), 16 kHz, mono.
        source_rate_hz: Rate of the file.
        channels: Channels of the file, before they were mixed down.
        num_frames: Frames of the file, at its own rate.
    """

    waveform: Waveform
    source_rate_hz: int
    channels: int
    num_frames: int


def read_audio(path: Path, *, channel: int | None = None) -> Recording:
    """Read a WAV, FLAC, OGG or MP3 file as 16 kHz mono.

    Args:
        path: The file.
        channel: Take this channel alone, counted from 0. By default the mean of all is taken.

    Raises:
        DataError: The file is missing, no audio, has no such channel, or holds no samples.
    """
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:  # soundfile's own error is a RuntimeError
        raise DataError("cannot read audio", [_explain(path, error)]) from error
    if samples.shape[0] == 0:
        raise DataError("cannot read audio", [f"{path}: the file holds no samples"])
    if channel is not None and channel >= samples.shape[1]:
        problem = f"{path}: there is no channel {channel}; there are {samples.shape[1]}"
        raise DataError("cannot read audio", [problem])
    mono = samples.mean(axis=1) if channel is None else samples[:, channel]
    waveform = to_16khz(mono, rate_hz)
    if waveform.size == 0:
        problem = f"{path}: {samples.shape[0]} frames at {rate_hz} Hz are no sample at 16 kHz"
        raise DataError("cannot read audio", [problem])
    return Recording(waveform, rate_hz, samples.shape[1], samples.shape[0])


def to_16khz(waveform: Waveform, rate_hz: int) -> Waveform:
    """Resample a mono waveform, shape (T,), from `rate_hz` to 16 kHz."""
    if rate_hz == SAMPLE_RATE_HZ:
        return waveform.astype(np.float32, copy=False)
    resampled = soxr.resample(waveform, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    return np.asarray(resampled, dtype=np.float32)


def _explain(path: Path, error: Exception) -> str:
    if not path.exists():
        return f"{path}: there is no such file"
    if path.stat().st_size == 0:
        return f"{path}: the file is empty (0 bytes)"
    return f"{path}: cannot be decoded ({error}); WAV, FLAC, OGG and MP3 can be read"
