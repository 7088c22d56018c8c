"""A random way from the source to the recording, drawn alike for speech and for other sounds.

So that neither bandwidth, spectral tilt, reverberation, coding noise nor level tells the classes
apart. Each step is used with its own chance (`ChannelSettings`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

from qsm_core.audio.format import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class ChannelSettings:
    """The chance of each step, 0 to 1."""

    tilt: float = 0.6
    band: float = 0.5
    telephone: float = 0.25
    reverberation: float = 0.35
    compression: float = 0.35
    coding: float = 0.2
    noise: float = 0.6


PRETRAINING_CHANNEL = ChannelSettings()
MILD_CHANNEL = ChannelSettings(
    tilt=0.5, band=0.2, telephone=0.05, reverberation=0.2, compression=0.2, coding=0.05, noise=0.5
)


def random_channel(
    waveform: np.ndarray, rng: np.random.Generator, settings: ChannelSettings = MILD_CHANNEL
) -> np.ndarray:
    """Send a waveform through a random channel.

    Args:
        waveform: (T,), 16 kHz.
        rng: Decides which steps and how far.
        settings: The chance of each step.

    Returns:
        float32 (T,), peak 1.
    """
    steps = (
        (settings.reverberation, _reverberate),
        (settings.tilt, _tilt),
        (settings.band, _limit_band),
        (settings.compression, _compress),
        (settings.noise, _add_noise),
        (settings.telephone, _telephone),
        (settings.coding, _quantize_spectrum),
    )
    out = waveform.astype(np.float64)
    for chance, step in steps:
        if rng.random() < chance:
            out = step(out, rng)
    return np.asarray(out / (np.abs(out).max() + 1e-9), dtype=np.float32)


def _tilt(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn the spectrum by a random slope and two gentle bumps."""
    spectrum = np.fft.rfft(waveform)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE_HZ), 60) / 1000)
    gain_db = rng.uniform(-5, 5) * octaves
    for _ in range(2):
        gain_db += rng.uniform(-8, 8) * np.exp(-((octaves - rng.uniform(-3, 3)) ** 2) / 0.5)
    return np.asarray(np.fft.irfft(spectrum * 10 ** (gain_db / 20), waveform.size))


def _limit_band(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut the top, the bottom, or both."""
    order = int(rng.integers(2, 7))
    if rng.random() < 0.75:
        cut = float(np.exp(rng.uniform(np.log(2500), np.log(7600))))
        waveform = sosfilt(butter(order, cut, "lowpass", fs=SAMPLE_RATE_HZ, output="sos"), waveform)
    if rng.random() < 0.5:
        cut = float(np.exp(rng.uniform(np.log(50), np.log(500))))
        waveform = sosfilt(butter(2, cut, "highpass", fs=SAMPLE_RATE_HZ, output="sos"), waveform)
    return np.asarray(waveform)


def _telephone(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sample at 8 kHz, often with a telephone's band and its 8-bit companding."""
    if rng.random() < 0.6:
        band = [rng.uniform(80, 350), rng.uniform(3000, 3800)]
        waveform = sosfilt(butter(3, band, "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), waveform)
    narrow = resample_poly(waveform, 1, 2)
    if rng.random() < 0.6:
        narrow = _companded(narrow * rng.uniform(0.2, 1.0))
    return np.asarray(resample_poly(narrow, 2, 1)[: waveform.size])


def _companded(waveform: np.ndarray) -> np.ndarray:
    """Quantise to 8 bits on the mu-law scale, and back."""
    scaled = np.clip(waveform / (np.abs(waveform).max() + 1e-9), -1, 1)
    folded = np.sign(scaled) * np.log1p(255 * np.abs(scaled)) / np.log(256)
    coarse = np.round(folded * 127) / 127
    return np.asarray(np.sign(coarse) * (256 ** np.abs(coarse) - 1) / 255)


def _reverberate(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Convolve with a direct sound and exponentially falling noise; the length stays."""
    t60_s = float(np.exp(rng.uniform(np.log(0.1), np.log(2.0))))
    length = int(min(t60_s, 1.2) * SAMPLE_RATE_HZ)
    tail = rng.normal(0, 1, length) * 10 ** (-3 * np.arange(length) / SAMPLE_RATE_HZ / t60_s)
    tail *= rng.uniform(0.1, 1.5) / np.sqrt((tail**2).sum())
    tail[0] += 1.0
    return np.asarray(fftconvolve(waveform, tail)[: waveform.size])


def _compress(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Squeeze loud parts: soft clipping, or a gain that follows the level."""
    peak = np.abs(waveform).max() + 1e-9
    if rng.random() < 0.5:
        drive = rng.uniform(1, 6)
        return np.asarray(np.tanh(drive * waveform / peak))
    window = int(rng.uniform(0.01, 0.1) * SAMPLE_RATE_HZ)
    level = np.sqrt(np.convolve(waveform**2, np.ones(window) / window, "same")) / peak
    return np.asarray(waveform / (level + 0.02) ** rng.uniform(0.2, 0.7))


def _add_noise(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add steady noise of a random colour, 5 to 50 dB below."""
    spectrum = np.fft.rfft(rng.normal(0, 1, waveform.size))
    frequency = np.maximum(np.fft.rfftfreq(waveform.size, 1 / SAMPLE_RATE_HZ), 40)
    noise = np.fft.irfft(spectrum * frequency ** rng.uniform(-1, 0.2), waveform.size)
    ratio = waveform.std() / (noise.std() + 1e-12)
    return np.asarray(waveform + noise * ratio * 10 ** (-rng.uniform(5, 50) / 20))


def _quantize_spectrum(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lose detail as a low-rate codec does: coarse spectral steps, weak bins dropped."""
    size = 512
    count = waveform.size // size + 2
    padded = np.zeros((count + 1) * size)
    padded[size // 2 : size // 2 + waveform.size] = waveform
    starts = np.arange(0, padded.size - size + 1, size // 2)
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    frames = np.fft.rfft(padded[starts[:, None] + np.arange(size)[None]] * window, axis=1)
    step = rng.uniform(0.02, 0.25) * np.abs(frames).max(axis=1, keepdims=True) + 1e-9
    frames = np.round(frames.real / step) * step + 1j * np.round(frames.imag / step) * step
    out = np.zeros(padded.size)
    for start, frame in zip(starts, np.fft.irfft(frames, size, axis=1) * window, strict=True):
        out[start : start + size] += frame
    return out[size // 2 : size // 2 + waveform.size]
