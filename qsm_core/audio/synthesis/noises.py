"""Noises: weather, engines, impacts, clicks, crackle, hum, modulated and speech-shaped noise."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.synthesis.envelopes import (
    attack_decay,
    band_pass,
    colored_noise,
    harmonic_tone,
    log_uniform,
    low_pass,
    onsets,
    place,
    samples,
    seconds,
    wander,
)


def hiss(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return steady noise of a random colour and band."""
    noise = colored_noise(rng, num_samples, rng.uniform(-9, 3))
    if rng.random() < 0.5:
        low = log_uniform(rng, 30, 3000)
        noise = band_pass(noise, low, low * log_uniform(rng, 1.3, 20))
    return noise


def wind(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return gusts: dark noise whose level and brightness wander."""
    noise = colored_noise(rng, num_samples, rng.uniform(-9, -4))
    whistle = band_pass(
        colored_noise(rng, num_samples, 0), *(log_uniform(rng, 300, 900) * np.array([1, 1.3]))
    )
    gusts = np.exp(rng.uniform(0.3, 1.2) * wander(rng, num_samples, rng.uniform(0.1, 1.0)))
    return (noise + rng.uniform(0, 0.6) * whistle) * gusts


def rain(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return drops on a bed of noise, from drizzle to downpour; also frying and applause."""
    canvas = rng.uniform(0, 0.2) * colored_noise(rng, num_samples, rng.uniform(-3, 1))
    center, width = log_uniform(rng, 700, 5000), rng.uniform(1.3, 4)
    for start in onsets(rng, num_samples, log_uniform(rng, 10, 400)):
        length = samples(log_uniform(rng, 0.002, 0.02))
        drop = rng.normal(0, 1, length) * attack_decay(length, 0.0005, 0.004)
        place(canvas, drop * rng.exponential(1), start)
    return band_pass(canvas, center / width, center * width, order=1)


def engine(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return a motor: a low buzz with uneven strokes, resonances and mechanical noise."""
    rate = log_uniform(rng, 15, 180)
    drift = rng.uniform(0, 0.3) * np.linspace(-1, 1, num_samples)
    pitch = rate * np.exp(drift + 0.02 * wander(rng, num_samples, 0.05))
    buzz = harmonic_tone(
        pitch, np.exp(rng.normal(0, 0.6, 60)) / np.arange(1, 61) ** rng.uniform(0.2, 1.3)
    )
    strokes = 1 + rng.uniform(0, 1) * np.sin(np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ)
    noise = colored_noise(rng, num_samples, rng.uniform(-6, 0)) * strokes
    mix = buzz / (buzz.std() + 1e-9) + rng.uniform(0.1, 1.5) * noise
    center = log_uniform(rng, 150, 2500)
    resonance = band_pass(mix, center * 0.8, center * 1.25, order=1)
    return np.asarray(mix + rng.uniform(0, 3) * resonance)


def impacts(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return knocks, steps, dishes, doors: short bursts that ring at a few resonances."""
    canvas = np.zeros(num_samples)
    modes_hz = np.sort([log_uniform(rng, 80, 6000) for _ in range(int(rng.integers(1, 9)))])
    ring = log_uniform(rng, 0.01, 0.4)
    for start in onsets(rng, num_samples, rng.uniform(1, 8)):
        length = samples(min(5 * ring + 0.05, 1.2))
        time = seconds(length)
        hit = sum(
            rng.uniform(0.2, 1)
            * np.sin(2 * np.pi * mode * time)
            * np.exp(-time / ring * mode**0.3 / 6)
            for mode in modes_hz
        )
        thud = low_pass(rng.normal(0, 1, length), log_uniform(rng, 200, 6000))
        hit = hit + rng.uniform(0, 4) * thud * np.exp(-time / log_uniform(rng, 0.003, 0.05))
        place(canvas, hit * rng.uniform(0.2, 1), start)
    return canvas


def clicks(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return typing, clockwork or crackle: very short pulses, regular or not."""
    canvas = np.zeros(num_samples)
    rate = log_uniform(rng, 2, 60)
    regular = range(int(rng.integers(400)), num_samples, samples(1 / rate))
    starts = list(regular) if rng.random() < 0.4 else onsets(rng, num_samples, rate)
    center = log_uniform(rng, 500, 5000)
    for start in starts:
        length = samples(log_uniform(rng, 0.002, 0.03))
        pulse = rng.normal(0, 1, length) + np.sin(2 * np.pi * center * seconds(length))
        place(
            canvas,
            pulse * attack_decay(length, 0.0003, length / SAMPLE_RATE_HZ / 4) * rng.exponential(1),
            start,
        )
    return canvas + 0.003 * colored_noise(rng, num_samples, -2)


def hum(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return mains hum, a fan or a transformer: a steady harmonic series and some noise."""
    pitch = np.full(num_samples, float(rng.choice([50, 60, 100, 120, log_uniform(rng, 40, 400)])))
    amplitudes = np.exp(rng.normal(0, 1, 40)) / np.arange(1, 41) ** rng.uniform(0.5, 2)
    tone = harmonic_tone(pitch, amplitudes)
    level = rng.uniform(0, 1)
    noise = colored_noise(rng, num_samples, rng.uniform(-6, 0))
    return np.asarray(tone / tone.std() + level * noise)


def modulated_noise(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return noise switched or swelling at 1 to 20 Hz: sawing, breathing of machines, brushing."""
    time = seconds(num_samples)
    cycle = np.sin(2 * np.pi * (log_uniform(rng, 1, 20) * time + rng.random()))
    shape = [np.maximum(cycle, 0), (cycle > rng.uniform(-0.5, 0.7)).astype(float), 1 + cycle]
    envelope = low_pass(shape[rng.integers(3)], 60)
    low = log_uniform(rng, 80, 3000)
    noise = band_pass(
        colored_noise(rng, num_samples, rng.uniform(-6, 2)), low, low * log_uniform(rng, 2, 20)
    )
    return noise * (envelope + rng.uniform(0, 0.2))


def resonant_noise(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return noise through two to four steady resonances: a speech-like spectrum that never moves.

    Level wanders at the pace of syllables, so neither a formant-like spectrum nor a syllabic
    envelope alone tells speech.
    """
    noise = colored_noise(rng, num_samples, rng.uniform(-6, -1))
    if rng.random() < 0.35:
        noise = harmonic_tone(np.full(num_samples, log_uniform(rng, 70, 350)), np.ones(40))
    out = 0.1 * noise
    for _ in range(int(rng.integers(2, 5))):
        center, width = log_uniform(rng, 250, 4500), rng.uniform(60, 400)
        radius = np.exp(-np.pi * width / SAMPLE_RATE_HZ)
        angle = 2 * np.pi * center / SAMPLE_RATE_HZ
        out = out + rng.uniform(0.3, 1) * lfilter(
            [1 - radius], [1, -2 * radius * np.cos(angle), radius**2], noise
        )
    swell = np.exp(rng.uniform(0, 1.2) * wander(rng, num_samples, rng.uniform(0.08, 0.4)))
    return np.asarray(out * swell)


def bubbles(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return water: many short rising tones."""
    canvas = rng.uniform(0, 0.05) * colored_noise(rng, num_samples, -3)
    for start in onsets(rng, num_samples, log_uniform(rng, 8, 120)):
        length = samples(rng.uniform(0.01, 0.08))
        pitch = log_uniform(rng, 300, 3000) * (1 + rng.uniform(0, 1.0) * np.linspace(0, 1, length))
        drop = harmonic_tone(pitch, np.ones(1)) * attack_decay(length, 0.002, 0.02)
        place(canvas, drop * rng.exponential(1), start)
    return canvas
