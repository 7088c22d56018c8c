"""Tones and signals: beeps, desktop sounds, dial tones, sirens, sweeps, bird-like chirps."""

from __future__ import annotations

import numpy as np

from qsm_core.audio.synthesis.envelopes import (
    attack_decay,
    band_pass,
    colored_noise,
    harmonic_tone,
    log_uniform,
    onsets,
    place,
    plateau,
    samples,
    seconds,
    wander,
)

_DIAL_HZ = ((697, 770, 852, 941), (1209, 1336, 1477, 1633))


def beeps(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return equal beeps in a steady rhythm: pure, square or buzzing."""
    pitch = log_uniform(rng, 250, 4000)
    length = samples(rng.uniform(0.03, 0.4))
    gap = samples(rng.uniform(0.02, 0.5))
    amplitudes = rng.uniform(0, 0.6, int(rng.integers(1, 12)))
    amplitudes[0] = 1.0
    event = harmonic_tone(np.full(length, pitch), amplitudes) * plateau(length, 0.005)
    canvas = np.zeros(num_samples)
    for start in range(int(rng.integers(gap)), num_samples, length + gap):
        place(canvas, event, start)
    return canvas


def desktop_sound(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return a short figure of bell-like or plucked notes, as a desktop plays for an event."""
    canvas = np.zeros(num_samples)
    base = log_uniform(rng, 180, 1400)
    steps = rng.choice([0, 2, 4, 5, 7, 9, 12, 16, -5, -3], int(rng.integers(1, 6)))
    spacing = rng.uniform(0.06, 0.3)
    ratios = np.array([1.0, 2.0, rng.uniform(2.5, 3.1), rng.uniform(3.8, 5.5)])
    levels = np.array([1.0, *rng.uniform(0, 0.6, 3)])
    decay = rng.uniform(0.06, 0.7)
    for index, step in enumerate(steps):
        length = samples(min(4 * decay, 1.5))
        time = seconds(length)
        pitch = base * 2 ** (step / 12)
        partials = levels[:, None] * np.sin(2 * np.pi * pitch * ratios[:, None] * time[None])
        fading = np.exp(-time[None] * ratios[:, None] ** rng.uniform(0, 1.2) / decay)
        note = (partials * fading).sum(axis=0) * np.minimum(time / rng.uniform(0.002, 0.03), 1)
        place(canvas, note, int(index * samples(spacing)))
    return np.roll(canvas, int(rng.integers(0, max(1, num_samples // 3))))


def dial_tone(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return telephone key tones, or a continuous pair of tones switched on and off."""
    canvas = np.zeros(num_samples)
    length, gap = samples(rng.uniform(0.06, 0.5)), samples(rng.uniform(0.03, 0.4))
    continuous = rng.random() < 0.4
    pair = (log_uniform(rng, 300, 700), log_uniform(rng, 400, 800))
    for start in range(0, num_samples, length + gap):
        low, high = pair if continuous else (rng.choice(_DIAL_HZ[0]), rng.choice(_DIAL_HZ[1]))
        time = seconds(length)
        tone = np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time)
        place(canvas, tone * plateau(length, 0.003), start)
    return canvas


def siren(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return a harmonic tone whose pitch goes up and down, smoothly or in steps."""
    time = seconds(num_samples)
    turn = np.sin(2 * np.pi * (rng.uniform(0.3, 8) * time + rng.random()))
    if rng.random() < 0.4:
        turn = np.sign(turn)
    pitch = log_uniform(rng, 250, 1500) * 2 ** (rng.uniform(0.1, 1.0) * turn)
    amplitudes = 1 / np.arange(1, int(rng.integers(2, 20))) ** rng.uniform(0.5, 3)
    return harmonic_tone(pitch, amplitudes)


def sweep(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return one or more glides over a wide range, tonal or of narrow noise."""
    canvas = np.zeros(num_samples)
    for start in onsets(rng, num_samples, rng.uniform(0.5, 5)):
        length = samples(rng.uniform(0.05, 1.0))
        low, high = log_uniform(rng, 150, 3000), log_uniform(rng, 300, 7000)
        pitch = np.geomspace(low, high, length)
        amplitudes = 1 / np.arange(1, int(rng.integers(2, 8))) ** 2.0
        place(canvas, harmonic_tone(pitch, amplitudes) * plateau(length, 0.01), start)
    return canvas


def chirps(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return bird-like or insect-like calls: short whistles with quick bends and trills."""
    canvas = np.zeros(num_samples)
    center = log_uniform(rng, 1500, 6000)
    for start in onsets(rng, num_samples, rng.uniform(2, 12)):
        length = samples(rng.uniform(0.02, 0.2))
        bend = rng.uniform(-0.5, 0.5) * np.linspace(-1, 1, length) ** int(rng.integers(1, 4))
        trill = rng.uniform(0, 0.15) * np.sin(2 * np.pi * rng.uniform(15, 80) * seconds(length))
        pitch = center * np.exp(bend + trill + rng.normal(0, 0.1))
        call = harmonic_tone(pitch, np.array([1.0, rng.uniform(0, 0.4), rng.uniform(0, 0.1)]))
        place(canvas, call * plateau(length, 0.01) * rng.uniform(0.3, 1), start)
    return canvas


def animal_calls(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return barks, mews and moos: harmonic calls through one broad, slowly moving resonance."""
    canvas = np.zeros(num_samples)
    center = log_uniform(rng, 90, 900)
    resonance = log_uniform(rng, 500, 3000)
    for start in onsets(rng, num_samples, rng.uniform(1, 4)):
        length = samples(log_uniform(rng, 0.06, 0.9))
        arc = rng.uniform(-0.1, 0.5) * np.sin(np.linspace(0, np.pi, length))
        pitch = center * np.exp(arc + 0.03 * wander(rng, length, 0.02) * rng.uniform(0, 2))
        call = harmonic_tone(pitch, 1 / np.arange(1, 40) ** rng.uniform(0.3, 1.2))
        call += rng.uniform(0, 0.8) * colored_noise(rng, length, -3)
        call = band_pass(call, resonance / 1.6, resonance * 1.6, order=1)
        call *= attack_decay(
            length, 0.01 + 0.2 * rng.random() * length / 16_000, rng.uniform(0.05, 0.5)
        )
        place(canvas, call / (np.abs(call).max() + 1e-9), start)
    return canvas
