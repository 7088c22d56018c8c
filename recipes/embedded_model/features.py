"""Log-mel spectra: Whisper's, in batches, cut to the clip, and without its last normalisation.

`log_mel` gives log10 of the mel power, so that sounds can be mixed and filtered as spectra;
`normalize` then does what Whisper's feature extractor does last.

Shapes: N clips, T samples, L = T / 160 mel frames of 10 ms, M = 128 mel bins.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from transformers.audio_utils import mel_filter_bank

from qsm_core.audio.format import SAMPLE_RATE_HZ

MEL_BINS = 128
HOP = 160
_WINDOW = 400
_FLOOR = 1e-10


def log_mel(waveforms: torch.Tensor) -> torch.Tensor:
    """Return log10 mel power.

    Args:
        waveforms: (N, T) float32 at 16 kHz, T a multiple of 160.

    Returns:
        (N, L, M) float32; at least -10.
    """
    padded = torch.nn.functional.pad(waveforms, (0, _WINDOW))
    spectrum = torch.stft(
        padded, _WINDOW, HOP, window=torch.hann_window(_WINDOW), return_complex=True
    )
    power = spectrum[..., : waveforms.shape[1] // HOP].abs() ** 2
    return torch.log10(torch.clamp(_filters() @ power, min=_FLOOR)).transpose(1, 2)


def normalize(log_power: torch.Tensor) -> torch.Tensor:
    """Clamp 80 dB below each clip's maximum and scale, as Whisper does: (N, L, M) -> (N, L, M)."""
    top = log_power.amax(dim=(1, 2), keepdim=True)
    return (torch.maximum(log_power, top - 8.0) + 4.0) / 4.0


@cache
def bandwidths_hz() -> torch.Tensor:
    """Return the width of each mel filter in Hz, (M,): mel power times it sums to band power."""
    filters = _filters()
    return 1.0 / filters.amax(dim=1).clamp(min=1e-9)


@cache
def _filters() -> torch.Tensor:
    """Return Whisper's mel filters, (M, 201)."""
    filters = mel_filter_bank(
        num_frequency_bins=_WINDOW // 2 + 1,
        num_mel_filters=MEL_BINS,
        min_frequency=0.0,
        max_frequency=8000.0,
        sampling_rate=SAMPLE_RATE_HZ,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.from_numpy(np.ascontiguousarray(filters.T)).float()
