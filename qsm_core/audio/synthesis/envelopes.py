"""Building blocks of the procedural sounds: envelopes, coloured noise, harmonic tones, timing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfilt

from qsm_core.audio.format import SAMPLE_RATE_HZ

NYQUIST_HZ = SAMPLE_RATE_HZ / 2


def samples(duration_s: float) -> int:
    """Return how many samples `duration_s` is."""
    return max(1, int(duration_s * SAMPLE_RATE_HZ))


def seconds(num_samples: int) -> np.ndarray:
    """Return the time of each sample in seconds, (T,)."""
    return np.arange(num_samples) / SAMPLE_RATE_HZ


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw between `low` and `high`, evenly on a logarithmic scale."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def attack_decay(num_samples: int, attack_s: float, decay_s: float) -> np.ndarray:
    """Return a linear rise and an exponential fall, (T,)."""
    time = seconds(num_samples)
    return np.minimum(time / max(attack_s, 1e-4), 1.0) * np.exp(
        -np.maximum(time - attack_s, 0.0) / decay_s
    )


def plateau(num_samples: int, edge_s: float) -> np.ndarray:
    """Return a flat envelope with soft edges, (T,)."""
    time = seconds(num_samples)
    return np.asarray(np.clip(np.minimum(time, time[::-1]) / max(edge_s, 1e-4), 0.0, 1.0))


def wander(rng: np.random.Generator, num_samples: int, period_s: float) -> np.ndarray:
    """Return a smooth random walk of mean 0 and deviation 1 that turns every `period_s`, (T,)."""
    step = max(1, samples(period_s / 8))
    coarse = gaussian_filter1d(rng.normal(0, 1, num_samples // step + 12), 3.0)
    coarse /= coarse.std() + 1e-9
    return np.asarray(np.interp(np.arange(num_samples) / step + 5, np.arange(coarse.size), coarse))


def colored_noise(rng: np.random.Generator, num_samples: int, slope_db: float) -> np.ndarray:
    """Return noise whose level changes by `slope_db` an octave (0 white, -3 pink, -6 brown)."""
    spectrum = np.fft.rfft(rng.normal(0, 1, num_samples))
    frequency = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE_HZ), 20.0)
    shaped = np.fft.irfft(spectrum * frequency ** (slope_db / 6.02), num_samples)
    return np.asarray(shaped / (shaped.std() + 1e-9))


def band_pass(waveform: np.ndarray, low_hz: float, high_hz: float, order: int = 2) -> np.ndarray:
    """Keep what lies between two frequencies."""
    low, high = max(low_hz, 20.0), min(high_hz, 0.98 * NYQUIST_HZ)
    band = [low, max(high, low * 1.1)]
    sections = butter(order, band, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sections, waveform))


def low_pass(waveform: np.ndarray, high_hz: float, order: int = 2) -> np.ndarray:
    """Keep what lies below a frequency."""
    cut = min(high_hz, 0.98 * NYQUIST_HZ)
    return np.asarray(
        sosfilt(butter(order, cut, "lowpass", fs=SAMPLE_RATE_HZ, output="sos"), waveform)
    )


def harmonic_tone(pitch_hz: np.ndarray, amplitudes: np.ndarray, stretch: float = 0.0) -> np.ndarray:
    """Add harmonics of a gliding pitch.

    Args:
        pitch_hz: (T,) instantaneous frequency.
        amplitudes: (H,) of the first H partials.
        stretch: Inharmonicity; 0 for exact multiples, about 1e-4 for a piano string.
    """
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    top = float(pitch_hz.max())
    tone = np.zeros(pitch_hz.size)
    for order, amplitude in enumerate(amplitudes, start=1):
        multiple = order * np.sqrt(1 + stretch * order**2)
        if multiple * top >= NYQUIST_HZ:
            break
        tone += amplitude * np.sin(multiple * phase)
    return tone


def place(canvas: np.ndarray, event: np.ndarray, start: int) -> None:
    """Add an event to a canvas in place; what does not fit is cut off."""
    stop = min(canvas.size, start + event.size)
    if start < stop:
        canvas[start:stop] += event[: stop - start]


def onsets(rng: np.random.Generator, num_samples: int, rate_hz: float) -> list[int]:
    """Return the start samples of random events, `rate_hz` a second on average, at least one."""
    count = max(1, int(rng.poisson(rate_hz * num_samples / SAMPLE_RATE_HZ)))
    return sorted(int(start) for start in rng.integers(0, num_samples, count))
