"""Waveforms for tests: deterministic, with some structure, of any length."""

from __future__ import annotations

import numpy as np

SAMPLE_RATE_HZ = 16_000


def make_clip(seed: int, duration_ms: float) -> np.ndarray:
    """Return a chirped tone in noise: float32, 16 kHz, `duration_ms` long."""
    rng = np.random.default_rng(seed)
    num_samples = round(SAMPLE_RATE_HZ * duration_ms / 1000)
    times = np.arange(num_samples) / SAMPLE_RATE_HZ
    rate_hz = rng.uniform(100, 2000)
    tone = np.sin(2 * np.pi * (rate_hz * times + rng.uniform(0, 500) * times**2))
    clip = rng.uniform(0.1, 0.6) * tone + rng.uniform(0.01, 0.3) * rng.standard_normal(num_samples)
    return clip.astype(np.float32)
