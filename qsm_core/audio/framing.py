"""Cutting clips and placing them in a longer container. T: audio samples."""

from __future__ import annotations

import numpy as np

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform


def num_samples(duration_ms: float) -> int:
    """Return how many samples at 16 kHz last `duration_ms`."""
    return round(duration_ms * SAMPLE_RATE_HZ / 1000)


def duration_ms(length: int) -> float:
    """Return how many milliseconds `length` samples at 16 kHz last."""
    return length * 1000 / SAMPLE_RATE_HZ


def center_crop(waveform: Waveform, length: int) -> Waveform:
    """Return the middle `length` samples; a shorter waveform comes back whole.

    Where the surplus is odd, the sample more is cut at the end.
    """
    start = max(0, (waveform.size - length) // 2)
    return waveform[start : start + length]


def center_span(inner: int, outer: int) -> slice:
    """Return where `inner` samples lie when they are centred in `outer`.

    Raises:
        ValueError: The inner part is longer than the outer.
    """
    if inner > outer:
        raise ValueError(f"{inner} samples do not fit into a container of {outer}")
    start = (outer - inner) // 2
    return slice(start, start + inner)


def place_centered(waveform: Waveform, padding: Waveform) -> Waveform:
    """Return a container with the waveform in its middle and the padding on both sides.

    Args:
        waveform: shape (T,).
        padding: shape (P,); its first half comes before the waveform, the rest after it.

    Returns:
        float32, shape (P + T,), contiguous and no view of either.
    """
    span = center_span(waveform.size, waveform.size + padding.size)
    parts = (padding[: span.start], waveform, padding[span.start :])
    return np.concatenate(parts, dtype=np.float32)
