"""Levels of a waveform: RMS, dBFS, peak.

0 dBFS is an RMS of 1, so a full-scale sine stands at -3.01 dBFS.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]


def rms(waveform: NDArray[np.floating]) -> float:
    """Return the root mean square of a waveform, shape (T,); 0 where it is empty."""
    if waveform.size == 0:
        return 0.0
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


def dbfs(waveform: NDArray[np.floating]) -> float:
    """Return the level of a waveform in dBFS; minus infinity for digital silence."""
    level = rms(waveform)
    return 20 * math.log10(level) if level > 0 else -math.inf


def amplitude(level_dbfs: float) -> float:
    """Return the RMS that stands at `level_dbfs`."""
    return float(10 ** (level_dbfs / 20))


def peak_normalize(waveform: NDArray[np.floating], peak: float = 0.9) -> Waveform:
    """Scale a waveform so that its largest magnitude is `peak`; silence stays silence.

    The peak is scaled, never the RMS: equal RMS would remove the level within a clip as a cue
    and change what an SNR means.
    """
    largest = float(np.max(np.abs(waveform))) if waveform.size else 0.0
    scale = peak / largest if largest > 0 else 1.0
    return (waveform * scale).astype(np.float32)


def scale_to(waveform: NDArray[np.floating], target_rms: float) -> Waveform:
    """Scale a waveform, shape (T,), so that its RMS is `target_rms`; silence stays silence."""
    level = rms(waveform)
    scale = target_rms / level if level > 0 else 1.0
    return (waveform * scale).astype(np.float32)
