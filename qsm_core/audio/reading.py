"""Reading audio files: any format of libsndfile, any rate, mixed down to one channel.

The one reader of audio, for checks, data, rooms and whatever else hears files: lengths come from
decoding (`audio.decoding`), and whatever is wrong with a file is one kind of error.
Resampling is soxr's high-quality setting, so a 48 kHz file and its 16 kHz copy agree below 7 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from qsm_core.audio.decoding import Decoded, decode
from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform
from qsm_core.errors import DataError
from qsm_core.spelling import printable

SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif"),
    *(".au", ".snd", ".caf", ".w64", ".rf64", ".sph"),
)
_TITLE = "cannot read audio"


@dataclass(frozen=True)
class Recording:
    """One audio file in memory.

    Args:
        waveform: float32, shape (T,), 16 kHz, mono.
        source_rate_hz: Rate of the file.
        channels: Channels of the file, before they were mixed down.
        num_frames: Frames of the file, at its own rate.
        fault: Why the file is not whole, such as a header that promises more; None where it is.
    """

    waveform: Waveform
    source_rate_hz: int
    channels: int
    num_frames: int
    fault: str | None = None


def read_audio(path: Path, *, channel: int | None = None, keep_faulty: bool = False) -> Recording:
    """Read a WAV, FLAC, OGG, MP3 or AIFF file as 16 kHz mono.

    Args:
        path: The file.
        channel: Take this channel alone, counted from 0. By default the mean of all is taken.
        keep_faulty: Return what there is of a file that was cut off, with its fault.

    Raises:
        DataError: The file is missing, no audio, cut off, has no such channel, or holds no samples.
    """
    decoded = read_samples(path, channel=channel)
    if decoded.fault is not None and not keep_faulty:
        raise _refusal(path, f"was cut off: {decoded.fault}")
    frames, rate_hz = decoded.samples.size, decoded.rate_hz
    if frames * SAMPLE_RATE_HZ < rate_hz:
        raise _refusal(path, f"{frames} frames at {rate_hz} Hz are no sample at 16 kHz")
    try:
        waveform = to_16khz(decoded.samples, rate_hz)
    except MemoryError as error:
        raise _too_long(path) from error
    if waveform.size == 0:
        raise _refusal(path, f"{frames} frames at {rate_hz} Hz are no sample at 16 kHz")
    return Recording(waveform, rate_hz, decoded.channels, frames, decoded.fault)


def read_samples(path: Path, *, channel: int | None = None) -> Decoded:
    """Read an audio file at its own rate, mixed down to one channel.

    Raises:
        DataError: The file is missing, no audio, has no such channel, or holds no samples.
    """
    try:
        decoded = decode(path, channel=channel)
    except MemoryError as error:
        raise _too_long(path) from error
    except (OSError, RuntimeError, ValueError) as error:  # soundfile's own are RuntimeErrors
        raise _refusal(path, why_unreadable(path, error)) from error
    if decoded.samples.size == 0:
        raise _refusal(path, f"the file holds no samples{_silent_header(path)}")
    return decoded


def to_16khz(waveform: Waveform, rate_hz: int) -> Waveform:
    """Resample a mono waveform, shape (T,), from `rate_hz` to 16 kHz."""
    if rate_hz == SAMPLE_RATE_HZ:
        return waveform.astype(np.float32, copy=False)
    resampled = soxr.resample(waveform, rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    return np.asarray(resampled, dtype=np.float32)


def why_unreadable(path: Path, error: Exception) -> str:
    """Say what is wrong with a file that cannot be opened or decoded."""
    if isinstance(error, ValueError):
        return str(error)
    try:
        if not path.exists():
            return "there is no such file"
        if path.stat().st_size == 0:
            return "the file is empty (0 bytes)"
    except OSError as reason:
        return f"cannot be opened ({reason.strerror})"
    if isinstance(error, OSError):
        return f"cannot be opened ({error.strerror})"
    said = getattr(error, "error_string", str(error)).removesuffix(".")
    if not said:  # FLAC's decoder gives no words
        return "cannot be decoded to its end: it is damaged, or was cut off"
    return f"cannot be decoded ({said}); WAV, FLAC, OGG and MP3 can be read"


def _silent_header(path: Path) -> str:
    """Say where bytes follow a header that says there are none: its writer was stopped."""
    try:
        follow = path.stat().st_size - soundfile.info(path).frames - 44
    except (OSError, RuntimeError):
        return ""
    if follow <= 0:
        return ""
    return f": its header says so, though about {follow} bytes follow; write the file anew"


def _too_long(path: Path) -> DataError:
    return _refusal(path, "is too long for the memory of this machine; cut it into shorter files")


def _refusal(path: Path, reason: str) -> DataError:
    return DataError(_TITLE, [f"{printable(str(path))}: {reason}"])
