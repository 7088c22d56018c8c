"""A piece of sound for the page: FLAC of 16 bits, which every browser plays, and a spectrogram.

Waveforms have shape (T,), T: audio samples. Spectrograms are PNG without axes: time to the right,
0 to half the sample rate upwards.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile
from matplotlib import colormaps
from PIL import Image
from scipy import signal

from qsm_core.reporting.page.images import data_uri
from qsm_core.reporting.page.sections import SoundView

LONGEST_S = 5.0
_WINDOW = 512
_HOP = 128
_RANGE_DB = 70.0
_HEIGHT_PX = 128

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sound:
    """A waveform as sound and as picture.

    Attributes:
        flac: The sound as a file.
        spectrogram: The picture as a file.
        seconds: Length of what is played.
        sample_rate_hz: Of the waveform.
        cut: Whether only the beginning of the waveform is played.
    """

    flac: bytes
    spectrogram: bytes
    seconds: float
    sample_rate_hz: int
    cut: bool


def sound_of(waveform: Waveform, sample_rate_hz: int) -> Sound:
    """Return a waveform as sound and picture, cut to five seconds."""
    longest = int(LONGEST_S * sample_rate_hz)
    heard = waveform[:longest]
    buffer = io.BytesIO()
    soundfile.write(buffer, heard, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return Sound(
        flac=buffer.getvalue(),
        spectrogram=spectrogram_png(heard, sample_rate_hz),
        seconds=len(heard) / sample_rate_hz,
        sample_rate_hz=sample_rate_hz,
        cut=len(waveform) > longest,
    )


def sound_view(sound: Sound, *, title: str, text: str, label: str, heard: str) -> SoundView:
    """Return a sound for the page.

    Args:
        sound: What is heard and seen.
        title: Heading.
        text: Below the player.
        label: Of the player, for a screen reader.
        heard: What the picture shows, after "Spectrogram of".
    """
    seconds, highest = f"{sound.seconds:g} s", f"{sound.sample_rate_hz / 2000:g} kHz"
    return SoundView(
        title=title,
        text=text,
        label=label,
        sound=data_uri(sound.flac, "audio/flac"),
        picture=data_uri(sound.spectrogram),
        picture_alt=f"Spectrogram of {heard}: {seconds} from left to right, 0 to {highest} from "
        "bottom to top.",
        length=seconds,
        highest=highest,
    )


def spectrogram_png(waveform: Waveform, sample_rate_hz: int) -> bytes:
    """Return the power in dB as a picture."""
    padded = np.pad(waveform, (0, max(0, _WINDOW - len(waveform))))
    _, _, power = signal.spectrogram(
        padded, sample_rate_hz, "hann", _WINDOW, _WINDOW - _HOP, scaling="spectrum"
    )
    level = 10 * np.log10(power + 1e-12)
    shade = np.clip((level - level.max()) / _RANGE_DB + 1, 0, 1)
    indices = (255 * shade[::-1]).astype(np.uint8)
    picture = Image.fromarray(indices, mode="P")
    colors = (255 * colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)
    picture.putpalette(colors.tobytes())
    buffer = io.BytesIO()
    width = max(64, picture.width)
    picture.resize((width, _HEIGHT_PX), Image.Resampling.NEAREST).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
