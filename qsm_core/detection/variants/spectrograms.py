"""A picture of each clip: 0 to 4 kHz, 80 dB, in the colours of the first system."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import image
from scipy.signal import stft

_WINDOW_S = 2002 / 48_000
_HIGHEST_HZ = 4000
_RANGE_DB = 80.0
_QUIET = 1e-6


def write_spectrogram(path: Path, waveform: np.ndarray, sample_rate_hz: int) -> None:
    """Write a PNG of a mono waveform: low frequencies below, one pixel a bin and a frame."""
    window = min(max(round(_WINDOW_S * sample_rate_hz), 2), len(waveform))
    frequency, _, spectrum = stft(
        waveform,
        fs=sample_rate_hz,
        nperseg=window,
        noverlap=window // 2 if window > 1 else 0,
        padded=False,
        boundary=None,
    )
    level = 20 * np.log10(np.abs(spectrum[frequency <= _HIGHEST_HZ]) + _QUIET)
    top = float(level.max())
    path.parent.mkdir(parents=True, exist_ok=True)
    # An empty name in place of matplotlib's and its version.
    image.imsave(
        path,
        np.clip(level, top - _RANGE_DB, top),
        vmin=top - _RANGE_DB,
        vmax=top,
        cmap="magma",
        origin="lower",
        metadata={"Software": ""},
    )
