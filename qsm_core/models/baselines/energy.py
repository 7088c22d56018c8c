"""An energy detector: the level of the loudest 30 ms of a clip, in dBFS.

The lower bound for every other detector: it knows nothing about speech.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qsm_core.audio.format import SAMPLE_RATE_HZ

_FRAME_SAMPLES = SAMPLE_RATE_HZ * 30 // 1000
_HOP_SAMPLES = SAMPLE_RATE_HZ * 10 // 1000
_SILENCE_DBFS = -120.0


class EnergyDetector:
    """Scores a clip by its loudest frame."""

    name = "energy"

    def score_clips(
        self, waveforms: Sequence[np.ndarray], advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Return the level of the loudest frame of each clip in dBFS, -120 at least."""
        scores = np.empty(len(waveforms))
        for row, waveform in enumerate(waveforms):
            scores[row] = loudest_frame_dbfs(waveform)
            if advance is not None:
                advance(row + 1)
        return scores


def loudest_frame_dbfs(waveform: np.ndarray) -> float:
    """Return the highest level among frames of 30 ms, every 10 ms, in dBFS."""
    padded = np.pad(waveform, (0, max(0, _FRAME_SAMPLES - len(waveform)))).astype(np.float64)
    energy = np.concatenate([[0.0], np.cumsum(padded**2)])
    starts = np.arange(0, len(padded) - _FRAME_SAMPLES + 1, _HOP_SAMPLES)
    power = (energy[starts + _FRAME_SAMPLES] - energy[starts]).max() / _FRAME_SAMPLES
    return max(_SILENCE_DBFS, 10.0 * float(np.log10(max(power, 1e-30))))
