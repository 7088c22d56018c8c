"""White Gaussian noise at a signal-to-noise ratio.

SNR in dB is 20 log10(rms(signal) / rms(noise)). `clip` measures the signal on the clip itself and
adds noise where the clip is. `container` is how the first system did it: the signal's RMS is
taken over the padded container and the noise covers the padding too. A 1000 ms clip in 2000 ms
then has a true SNR 3.01 dB above the nominal one.
"""

from __future__ import annotations

import numpy as np

from qsm_core.audio.level import Waveform, amplitude, dbfs, rms, scale_to

# Below this a clip holds no signal that an SNR could refer to.
SILENT_DBFS = -120.0
SILENT_NOISE_DBFS = -80.0


def is_silent(waveform: Waveform) -> bool:
    """Say whether a clip, shape (T,), holds no signal that an SNR could refer to."""
    return dbfs(waveform) < SILENT_DBFS


def add_noise(signal: Waveform, snr_db: float, rng: np.random.Generator) -> Waveform:
    """Return signal plus white noise at exactly `snr_db`, measured over the given samples.

    A silent signal (below -120 dBFS) has no SNR; it gets noise at -80 dBFS.

    Args:
        signal: shape (T,), with at least one sample.
        snr_db: Ratio of the two RMS levels in dB.
        rng: Source of the noise.
    """
    noise = rng.standard_normal(signal.size, dtype=np.float32)
    silent = is_silent(signal)
    target = amplitude(SILENT_NOISE_DBFS) if silent else rms(signal) / amplitude(snr_db)
    # Scaled by its own RMS, so that the ratio is exact and not only expected.
    return signal + scale_to(noise, target)


def padding_noise(length: int, level_dbfs: float, rng: np.random.Generator) -> Waveform:
    """Return `length` samples of white noise whose expected RMS is `level_dbfs`."""
    noise = rng.standard_normal(length, dtype=np.float32)
    return noise * np.float32(amplitude(level_dbfs))
