"""Reverberation: convolution with a room's impulse response, at the level of the dry clip.

The result is cut to the clip's length and scaled to the clip's RMS, so a reverberant clip is
neither longer nor louder than the dry one.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from qsm_core.audio.level import Waveform, rms, scale_to


def reverberate(waveform: Waveform, response: Waveform) -> Waveform:
    """Return the waveform, shape (T,), as it sounds in the room.

    Args:
        waveform: The dry clip.
        response: Impulse response that starts at the direct sound. Only its first T samples can
            reach into the clip, so only they are used.
    """
    wet = fftconvolve(waveform, response[: waveform.size])[: waveform.size]
    return scale_to(np.asarray(wet, dtype=np.float32), rms(waveform))
