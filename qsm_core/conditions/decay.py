"""How long a room rings: T60 from an impulse response by Schroeder's backward integration.

T60 is the time in which the energy falls by 60 dB, here from the straight line through -5 to
-35 dB (T30), times two. Reference: ISO 3382-1; M. R. Schroeder, J. Acoust. Soc. Am. 37 (1965).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform
from qsm_core.errors import DataError

_START_DB, _END_DB = -5.0, -35.0


def measure_t60_s(impulse_response: NDArray[np.floating]) -> float:
    """Return T60 in seconds of an impulse response, shape (T,), at 16 kHz.

    Raises:
        DataError: The decay never falls by 35 dB, so nothing can be measured.
    """
    energy = np.cumsum(np.square(impulse_response, dtype=np.float64)[::-1])[::-1]
    if energy.size == 0 or energy[0] <= 0:
        raise DataError("cannot measure T60", ["the impulse response is silent"])
    decay_db = 10 * np.log10(np.maximum(energy / energy[0], 1e-20))
    start, end = (int(np.argmax(decay_db <= level)) for level in (_START_DB, _END_DB))
    if end <= start + 1:
        raise DataError(
            "cannot measure T60", ["the impulse response does not decay by 35 dB over its length"]
        )
    seconds = np.arange(start, end) / SAMPLE_RATE_HZ
    slope_db_per_s = np.polyfit(seconds, decay_db[start:end], 1)[0]
    return float(-60.0 / slope_db_per_s)


def adjust_t60(impulse_response: Waveform, target_s: float, rounds: int = 3) -> Waveform:
    """Return the response with its tail re-enveloped so that its measured T60 is `target_s`.

    The energy of exp(-2kt) falls by 60 dB in ln(10^6) / (2k) seconds.
    """
    adjusted = impulse_response.astype(np.float64)
    seconds = np.arange(adjusted.size) / SAMPLE_RATE_HZ
    for _ in range(rounds):
        excess = 1 / target_s - 1 / measure_t60_s(adjusted)
        adjusted = adjusted * np.exp(-np.log(1e6) / 2 * excess * seconds)
    return adjusted.astype(np.float32)
