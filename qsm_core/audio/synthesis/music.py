"""Music-like sound: notes of random instruments, chords, arpeggios, drums and full mixes."""

from __future__ import annotations

from collections.abc import Callable

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
    place,
    plateau,
    samples,
    seconds,
    wander,
)

Instrument = Callable[[float, int], np.ndarray]
"""Plays a pitch in Hz for a number of samples."""

_SCALES = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 4, 7, 9),
    (0, 3, 5, 6, 7, 10),
    (0, 2, 4, 6, 8, 10),
)


def melody(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return single notes of one instrument in rhythm."""
    return _line(rng, num_samples, random_instrument(rng), log_uniform(rng, 90, 900))


def chords(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return three or four notes at a time, struck together, strummed or as an arpeggio."""
    play, scale = random_instrument(rng), _SCALES[rng.integers(len(_SCALES))]
    canvas, base = np.zeros(num_samples), log_uniform(rng, 70, 400)
    beat = samples(rng.uniform(0.2, 1.2))
    strum = samples(rng.choice([0.0005, 0.02, 0.12, 0.25]))
    for start in range(-int(rng.integers(beat)), num_samples, beat):
        root = int(rng.integers(len(scale)))
        for index in range(int(rng.integers(3, 5))):
            degree = root + 2 * index
            step = scale[degree % len(scale)] + 12 * (degree // len(scale))
            note = play(base * 2 ** (step / 12), samples(rng.uniform(0.8, 1.2)) + beat)
            _place_from(canvas, note, start + index * strum)
    return canvas


def drums(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return a drum pattern: kick, snare, hi-hat and tom on a grid."""
    canvas = np.zeros(num_samples)
    step = samples(rng.uniform(0.07, 0.2))
    pieces = [
        (_kick(rng), rng.random(16) < 0.3),
        (_snare(rng), rng.random(16) < 0.25),
        (_hat(rng), rng.random(16) < rng.uniform(0.3, 0.95)),
    ]
    offset = int(rng.integers(16))
    for index, start in enumerate(range(-int(rng.integers(step)), num_samples, step)):
        for hit, pattern in pieces:
            if pattern[(index + offset) % 16]:
                _place_from(canvas, hit * rng.uniform(0.5, 1.0), start)
    return canvas


def band(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return a full mix: bass, chords, melody and drums, each at its own level."""
    base = log_uniform(rng, 100, 220)
    parts = [
        drums(rng, num_samples),
        _line(rng, num_samples, random_instrument(rng), base / 2),
        chords(rng, num_samples),
        _line(rng, num_samples, random_instrument(rng), base * float(rng.choice([2, 3, 4]))),
    ]
    levels = rng.uniform(0, 1, len(parts)) * (rng.random(len(parts)) < 0.85)
    levels[int(rng.integers(len(parts)))] = 1.0
    return np.asarray(
        sum(level * part / (part.std() + 1e-6) for level, part in zip(levels, parts, strict=True))
    )


def pad(rng: np.random.Generator, num_samples: int) -> np.ndarray:
    """Return a slow chord of detuned voices whose brightness moves."""
    base, canvas = log_uniform(rng, 60, 400), np.zeros(num_samples)
    for step in rng.choice([0, 3, 4, 7, 10, 12, 14, 19], int(rng.integers(2, 5)), replace=False):
        for _ in range(2):
            drift = 2 ** ((step + 0.1 * rng.normal()) / 12)
            pitch = base * drift * (1 + 0.002 * wander(rng, num_samples, 0.4))
            canvas += harmonic_tone(pitch, 1 / np.arange(1, 25) ** rng.uniform(0.8, 2))
    dark = low_pass(canvas, log_uniform(rng, 300, 1500))
    blend = 0.5 + 0.5 * np.tanh(wander(rng, num_samples, rng.uniform(0.1, 1.0)))
    return np.asarray(dark + blend * (canvas - dark))


def random_instrument(rng: np.random.Generator) -> Instrument:
    """Draw an instrument: bowed or blown, struck, plucked, or an electric timbre."""
    makers = (_sustained, _struck, _plucked, _modulated)
    return makers[rng.integers(len(makers))](rng)


def _sustained(rng: np.random.Generator) -> Instrument:
    """Strings, winds, brass, organ: steady harmonics, vibrato, soft or hard attack."""
    amplitudes = np.exp(rng.normal(0, 0.5, 30)) / np.arange(1, 31) ** rng.uniform(0.6, 2.2)
    if rng.random() < 0.3:
        amplitudes[1::2] *= 0.08
    depth, rate = rng.choice([0.0, 0.004, 0.012]), rng.uniform(4, 7)
    edge, breath = log_uniform(rng, 0.005, 0.12), rng.choice([0.0, 0.02, 0.08])

    def play(pitch_hz: float, num_samples: int) -> np.ndarray:
        vibrato = 1 + depth * np.sin(2 * np.pi * rate * seconds(num_samples))
        tone = harmonic_tone(pitch_hz * vibrato, amplitudes)
        return np.asarray(
            (tone + breath * rng.normal(0, 1, num_samples)) * plateau(num_samples, edge)
        )

    return play


def _struck(rng: np.random.Generator) -> Instrument:
    """Piano, bells, mallets: partials that die the sooner the higher they are."""
    stretch = rng.choice([0.0, 1e-4, 5e-4, 5e-2])
    amplitudes = np.exp(rng.normal(0, 0.6, 16)) / np.arange(1, 17) ** rng.uniform(0.8, 2)
    decay, damping = log_uniform(rng, 0.08, 1.5), rng.uniform(0.2, 1.0)

    def play(pitch_hz: float, num_samples: int) -> np.ndarray:
        time, tone = seconds(num_samples), np.zeros(num_samples)
        for order, amplitude in enumerate(amplitudes, start=1):
            partial_hz = pitch_hz * order * np.sqrt(1 + stretch * order**2)
            if partial_hz > 7600:
                break
            tone += (
                amplitude
                * np.sin(2 * np.pi * partial_hz * time)
                * np.exp(-time * order**damping / decay)
            )
        return tone * np.minimum(time / 0.003, 1)

    return play


def _plucked(rng: np.random.Generator) -> Instrument:
    """Guitar, harp, bass: a delay line that loses its high partials."""
    loss, bright = rng.uniform(0.985, 0.999), rng.uniform(0.2, 1.0)

    def play(pitch_hz: float, num_samples: int) -> np.ndarray:
        period = max(4, round(SAMPLE_RATE_HZ / pitch_hz))
        excitation = np.zeros(num_samples)
        size = min(period, num_samples)
        excitation[:size] = rng.uniform(-1, 1, size)
        excitation = low_pass(excitation, 500 + 7000 * bright, order=1)
        loop = np.zeros(period + 2)
        loop[0], loop[period], loop[period + 1] = 1.0, -0.5 * loss, -0.5 * loss
        return np.asarray(lfilter([1.0], loop, excitation))

    return play


def _modulated(rng: np.random.Generator) -> Instrument:
    """Electric piano, brass or bell by frequency modulation."""
    ratio = float(rng.choice([0.5, 1.0, 1.41, 2.0, 3.0, 3.5, 7.0]))
    index, decay = rng.uniform(0.3, 6), log_uniform(rng, 0.05, 1.0)

    def play(pitch_hz: float, num_samples: int) -> np.ndarray:
        time = seconds(num_samples)
        envelope = attack_decay(num_samples, 0.01, decay)
        modulator = index * envelope * np.sin(2 * np.pi * ratio * pitch_hz * time)
        return np.asarray(np.sin(2 * np.pi * pitch_hz * time + modulator) * envelope)

    return play


def _line(
    rng: np.random.Generator, num_samples: int, play: Instrument, base_hz: float
) -> np.ndarray:
    """Play a random walk on a scale."""
    scale, canvas = _SCALES[rng.integers(len(_SCALES))], np.zeros(num_samples)
    beat, degree = samples(rng.uniform(0.1, 0.5)), 0
    overlap = rng.uniform(0.6, 1.6)
    start = -int(rng.integers(beat))
    while start < num_samples:
        length = int(beat * rng.choice([0.5, 1, 1, 1, 2]))
        degree = int(np.clip(degree + rng.integers(-3, 4), -7, 12))
        step = scale[degree % len(scale)] + 12 * (degree // len(scale))
        if rng.random() < 0.9:
            note = play(base_hz * 2 ** (step / 12), max(200, int(length * overlap)))
            _place_from(canvas, note * rng.uniform(0.5, 1), start)
        start += length
    return canvas


def _place_from(canvas: np.ndarray, event: np.ndarray, start: int) -> None:
    """Add an event that may have begun before the canvas."""
    place(canvas, event[max(0, -start) :], max(0, start))


def _kick(rng: np.random.Generator) -> np.ndarray:
    length = samples(0.3)
    pitch = rng.uniform(40, 70) + rng.uniform(60, 250) * np.exp(-seconds(length) / 0.03)
    fall = attack_decay(length, 0.001, rng.uniform(0.05, 0.15))
    return np.asarray(harmonic_tone(pitch, np.ones(1)) * fall)


def _snare(rng: np.random.Generator) -> np.ndarray:
    length = samples(0.25)
    body = np.sin(2 * np.pi * rng.uniform(150, 280) * seconds(length))
    rattle = band_pass(colored_noise(rng, length, 0), rng.uniform(600, 2000), 7500)
    fall = attack_decay(length, 0.001, rng.uniform(0.03, 0.12))
    return np.asarray((0.5 * body + rattle) * fall)


def _hat(rng: np.random.Generator) -> np.ndarray:
    length = samples(0.2)
    hiss = band_pass(colored_noise(rng, length, 3), rng.uniform(3000, 6000), 7800)
    return np.asarray(0.5 * hiss * attack_decay(length, 0.001, log_uniform(rng, 0.01, 0.12)))
