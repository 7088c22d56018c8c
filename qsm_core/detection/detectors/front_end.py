"""What a detector sees of the sound: one object for training and scoring, stored with the weights.

Legend: B excerpts, N samples, T frames, F bins. Frame t covers the samples from t * hop_length to
t * hop_length + n_fft; nothing is padded, so an excerpt of a recording has the recording's frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

FLOOR_DB = -100.0
# Levels over the background: 20 dB are one unit, what is far outside tells nothing more.
_UNIT_DB, _LOWEST, _HIGHEST = 20.0, -1.0, 4.0
_REFERENCE_DB = 20.0  # of "zero_one"
_STEP_DB, _STEPS = 0.25, 1000  # of the histogram of levels: -100 to 150 dB


@dataclass(frozen=True)
class Spectrogram:
    """A spectrogram with every value settled; the fields are those of `SpectrogramSettings`.

    Args:
        compression: How the Fourier bins of the band become `bins`: their "mean" power, or the
            "nearest" of them.
    """

    sample_rate_hz: int
    n_fft: int
    hop_length: int
    bins: int
    fmin_hz: float
    fmax_hz: float
    pre_emphasis: float
    normalisation: Literal["background", "min_max", "zero_one"]
    compression: Literal["mean", "nearest"] = "mean"

    def num_frames(self, samples: int) -> int:
        """Return the frames of an excerpt of so many samples."""
        return max(0, (samples - self.n_fft) // self.hop_length + 1)

    def num_samples(self, frames: int) -> int:
        """Return the samples that so many frames cover."""
        return (frames - 1) * self.hop_length + self.n_fft


class FrontEnd:
    """Turns samples into the numbers that a network reads."""

    def __init__(self, spectrogram: Spectrogram, device: torch.device | str = "cpu") -> None:
        self.spectrogram = spectrogram
        self._window = torch.hann_window(spectrogram.n_fft, device=device)
        bands = _bands(spectrogram)
        heard = np.flatnonzero(bands.any(axis=0))  # Fourier bins that lie in some bin
        self._heard = slice(int(heard[0]), int(heard[-1]) + 1)
        self._bands = torch.from_numpy(np.ascontiguousarray(bands[:, self._heard])).to(device)

    def levels(self, samples: Tensor) -> Tensor:
        """Return levels in dB, (B, F, T) float32, of excerpts (B, N) float32."""
        spectrogram = self.spectrogram
        if spectrogram.pre_emphasis:
            earlier = torch.nn.functional.pad(samples, (1, 0))[:, :-1]
            samples = samples - spectrogram.pre_emphasis * earlier
        spectrum = torch.stft(
            samples,
            spectrogram.n_fft,
            spectrogram.hop_length,
            window=self._window,
            center=False,
            return_complex=True,
        )[:, self._heard]
        power = spectrum.real.square() + spectrum.imag.square()
        return (self._bands @ power).clamp_(min=10 ** (FLOOR_DB / 10)).log10_().mul_(10)

    def normalise(self, levels: Tensor, background: Tensor | None = None) -> Tensor:
        """Return what the network reads, (B, F, T), of levels in dB.

        Args:
            levels: (B, F, T), as `levels` makes them.
            background: (F,) in dB, of the recording; for the normalisation "background" alone.
        """
        if self.spectrogram.normalisation == "background":
            if background is None:
                raise ValueError("the normalisation needs the background of the recording")
            return ((levels - background[:, None]) / _UNIT_DB).clamp_(_LOWEST, _HIGHEST)
        if self.spectrogram.normalisation == "zero_one":
            return ((levels - _REFERENCE_DB - FLOOR_DB) / -FLOOR_DB).clamp_(0, 1)
        low = levels.amin((1, 2), keepdim=True)
        span = levels.amax((1, 2), keepdim=True) - low
        return (levels - low) / span.clamp(min=1e-6)


class Background:
    """The background of a recording, bin by bin, from its levels in any number of pieces.

    It is the lower quartile over the frames that hold any sound: stretches of digital silence,
    which recorders and editors leave, say nothing about the background. Levels are counted in steps
    of 0.25 dB, so memory does not grow with the recording.
    """

    def __init__(self, bins: int) -> None:
        self._counts = np.zeros((bins, _STEPS), dtype=np.int64)

    def add(self, levels: np.ndarray) -> None:
        """Take in levels in dB, (F, T)."""
        sounding = levels[:, levels.max(axis=0, initial=FLOOR_DB) > FLOOR_DB + 1]
        steps = np.clip((sounding - FLOOR_DB) / _STEP_DB, 0, _STEPS - 1).astype(np.int64)
        rows = np.arange(len(steps))[:, None] * _STEPS
        found = np.bincount((steps + rows).ravel(), minlength=self._counts.size)
        self._counts += found.reshape(self._counts.shape)

    def levels(self) -> np.ndarray:
        """Return the background, (F,) float32 in dB; the floor if all was silent."""
        reached = np.cumsum(self._counts, axis=1) >= np.ceil(self._counts.sum(1) / 4)[:, None]
        return np.asarray(FLOOR_DB + _STEP_DB * reached.argmax(axis=1), dtype=np.float32)


def _bands(spectrogram: Spectrogram) -> np.ndarray:
    """Return the weights of the Fourier bins in each bin, (F, n_fft // 2 + 1) float32."""
    step_hz = spectrogram.sample_rate_hz / spectrogram.n_fft
    fourier_hz = np.arange(spectrogram.n_fft // 2 + 1) * step_hz
    edges = np.linspace(spectrogram.fmin_hz, spectrogram.fmax_hz, spectrogram.bins + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    if spectrogram.compression == "nearest":
        weights = np.zeros((spectrogram.bins, len(fourier_hz)))
        nearest = np.clip(np.rint(centres / step_hz).astype(int), 0, len(fourier_hz) - 1)
        weights[np.arange(spectrogram.bins), nearest] = 1
        return weights.astype(np.float32)
    # A triangle at least as wide as the spacing of the Fourier bins, so that no bin is empty.
    half_width = max(step_hz, edges[1] - edges[0])
    weights = np.maximum(0, 1 - np.abs(fourier_hz[None] - centres[:, None]) / half_width)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
