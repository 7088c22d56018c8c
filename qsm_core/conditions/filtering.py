"""Band limits: zero-phase Butterworth filters of order 4.

Second-order sections, run forward and backward, so there is no delay and the attenuation in dB is
twice that of one pass: 6 dB at the corner frequency.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform
from qsm_core.conditions.grid import Band

ORDER = 4
LOW_HZ = 300.0
HIGH_HZ = 3400.0

_SHAPES: dict[Band, tuple[Literal["bandpass", "lowpass", "highpass"], float | list[float]]] = {
    Band.BANDPASS: ("bandpass", [LOW_HZ, HIGH_HZ]),
    Band.LOWPASS: ("lowpass", HIGH_HZ),
    Band.HIGHPASS: ("highpass", LOW_HZ),
}


def apply_band(waveform: Waveform, band: Band) -> Waveform:
    """Return the waveform, shape (T,), limited to a band."""
    if band is Band.NONE:
        return waveform
    sections = _sections(band)
    # The default padding needs more samples than a very short clip has.
    padding = min(3 * (2 * sections.shape[0] + 1), waveform.size - 1)
    filtered = sosfiltfilt(sections, waveform.astype(np.float64), padlen=max(padding, 0))
    return np.asarray(filtered, dtype=np.float32)


@cache
def _sections(band: Band) -> NDArray[np.float64]:
    shape, corners = _SHAPES[band]
    return butter(ORDER, corners, btype=shape, fs=SAMPLE_RATE_HZ, output="sos")
