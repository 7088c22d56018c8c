"""Long recordings made from a seed: backgrounds, calls of individuals, and sounds like calls.

Each group is one individual heard on one day: its calls have a pitch and a speed of their own, its
recorder has a hum and a colour of noise. Two types of call are labelled: "chirp", a falling tone
with a harmonic, and "trill", a series of short pulses. The hard negatives (rising tones, clicks,
steady whistles) lie in the same band and have no label. `quality` is 1 for a call at least 12 dB
over the noise of its band, 2 from 6 dB on, else 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from qsm_core.audio.writing import write_audio as write_file
from qsm_core.detection.recordings import RecordingSet, as_annotations, as_recordings
from qsm_core.detection.synthetic_config import SyntheticRecordings
from qsm_core.seeding import derive_rng

_NOISE_RMS = 0.01
_SNR_DB = (0.0, 18.0)
_QUALITIES = ((12.0, 1), (6.0, 2))
_GAP_S = 0.15  # shortest time between two sounds


@dataclass(frozen=True)
class _Individual:
    """What all sounds of a group share."""

    pitch_hz: float
    speed: float
    hum_hz: float
    colour: float  # exponent of the noise's spectrum


def write_audio(folder: Path, config: SyntheticRecordings) -> RecordingSet:
    """Write the audio, FLAC of 16 bits, below a folder; return the recordings and their events."""
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows, events = [], []
    for group in range(config.groups):
        one = _individual(config.seed, group)
        for number in range(config.recordings):
            name = f"tape{group + 1:02d}_{number + 1}"
            samples, found = _recording(config, one, name)
            path = f"audio/{name}.flac"
            write_file(folder / path, samples, config.sample_rate_hz)
            rows.append({"recording_id": name, "group_id": f"tape{group + 1:02d}", "path": path})
            events += [{"recording_id": name, **event} for event in found]
    tables = as_recordings(pd.DataFrame(rows)), as_annotations(pd.DataFrame(events))
    return RecordingSet(*tables, folder, kind="synthetic")


def _individual(seed: int, group: int) -> _Individual:
    rng = derive_rng(seed, "individual", group)
    return _Individual(
        pitch_hz=float(rng.uniform(1800, 3200)),
        speed=float(rng.uniform(0.8, 1.25)),
        hum_hz=float(rng.uniform(90, 400)),
        colour=float(rng.uniform(0.3, 1.1)),
    )


def _recording(
    config: SyntheticRecordings, one: _Individual, name: str
) -> tuple[np.ndarray, list[dict[str, object]]]:
    rng = derive_rng(config.seed, "recording", name)
    rate = config.sample_rate_hz
    total = round(config.duration_s * rate)
    samples = _background(rng, one, total, rate)
    minutes = config.duration_s / 60
    calls = int(rng.poisson(config.calls_per_minute * minutes))
    others = int(rng.poisson(config.distractors_per_minute * minutes))
    kinds = rng.permutation(["call"] * calls + ["other"] * others)
    # Sounds of random lengths in a random order, the rest of the time shared out among the gaps.
    sounds = [_sound(rng, one, rate, kind == "call") for kind in kinds]
    free = total - sum(len(s[0]) for s in sounds) - (len(sounds) + 1) * round(_GAP_S * rate)
    while free < 0:
        free += len(sounds.pop()[0]) + round(_GAP_S * rate)
    shares = np.floor(rng.dirichlet(np.ones(len(sounds) + 1)) * free).astype(int)
    events: list[dict[str, object]] = []
    place = 0
    for (wave, label, low, high), gap in zip(sounds, shares, strict=False):
        place += int(gap) + round(_GAP_S * rate)
        snr_db = float(rng.uniform(*_SNR_DB))
        noise = _band_rms(samples[place : place + len(wave)], rate, low, high)
        samples[place : place + len(wave)] += _scaled(wave, noise * 10 ** (snr_db / 20))
        if label:
            quality = next((q for least, q in _QUALITIES if snr_db >= least), 3)
            begin, end = place / rate, (place + len(wave)) / rate
            events.append(
                {
                    "begin_s": begin,
                    "end_s": end,
                    "low_hz": round(low),
                    "high_hz": round(high),
                    "label": label,
                    "quality": quality,
                }
            )
        place += len(wave)
    return np.clip(samples, -1, 1), events


def _background(rng: np.random.Generator, one: _Individual, total: int, rate: int) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(total))
    frequencies = np.fft.rfftfreq(total, 1 / rate)
    spectrum *= (np.maximum(frequencies, 50.0) / 1000) ** (-one.colour / 2)
    noise = np.fft.irfft(spectrum, total)
    times = np.arange(total) / rate
    # Wind: the level wanders by some dB within seconds.
    knots = rng.normal(0, 2.5, max(2, total // (3 * rate)))
    wander = np.interp(np.linspace(0, len(knots) - 1, total), np.arange(len(knots)), knots)
    hum = 0.5 * np.sin(2 * np.pi * one.hum_hz * times)
    noise = noise / noise.std() * 10 ** (wander / 20) + hum
    return np.asarray(_NOISE_RMS * noise)


Sound = tuple[np.ndarray, str, float, float]  # samples, label or "", lowest and highest frequency


def _sound(rng: np.random.Generator, one: _Individual, rate: int, is_call: bool) -> Sound:
    makers: tuple[Callable[..., Sound], ...] = (
        (_chirp, _trill) if is_call else (_rise, _click, _whistle)
    )
    return makers[int(rng.integers(len(makers)))](rng, one, rate)


def _chirp(rng: np.random.Generator, one: _Individual, rate: int) -> Sound:
    start = one.pitch_hz * rng.uniform(0.95, 1.05)
    end = start * rng.uniform(0.55, 0.65)
    wave = _sweep(start, end, rng.uniform(0.22, 0.32) / one.speed, rate, harmonic=0.4)
    return wave, "chirp", end * 0.95, start * 2.05


def _trill(rng: np.random.Generator, one: _Individual, rate: int) -> Sound:
    pitch = one.pitch_hz * 1.2 * rng.uniform(0.97, 1.03)
    pulse = _sweep(pitch * 1.05, pitch * 0.95, 0.03 / one.speed, rate)
    gap = np.zeros(round(0.02 / one.speed * rate))
    wave = np.concatenate([np.concatenate([pulse, gap])] * int(rng.integers(6, 12)))
    return wave[: -len(gap)], "trill", pitch * 0.85, pitch * 1.15


def _rise(rng: np.random.Generator, _one: _Individual, rate: int) -> Sound:
    start = rng.uniform(900, 1800)
    end = start * rng.uniform(1.5, 2)
    return _sweep(start, end, rng.uniform(0.2, 0.4), rate, harmonic=0.4), "", start, end


def _click(rng: np.random.Generator, _one: _Individual, rate: int) -> Sound:
    count = round(rng.uniform(0.01, 0.03) * rate)
    return rng.standard_normal(count) * np.hanning(count), "", 500, rate / 2


def _whistle(rng: np.random.Generator, _one: _Individual, rate: int) -> Sound:
    pitch = rng.uniform(1500, 3500)
    return _sweep(pitch, pitch, rng.uniform(0.15, 0.6), rate), "", pitch * 0.95, pitch * 1.05


def _sweep(
    start_hz: float, end_hz: float, seconds: float, rate: int, harmonic: float = 0.0
) -> np.ndarray:
    count = max(16, round(seconds * rate))
    phase = 2 * np.pi * np.cumsum(np.linspace(start_hz, end_hz, count)) / rate
    wave = np.sin(phase) + harmonic * np.sin(2 * phase)
    ramp = np.minimum(1, np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.01 * rate))
    return wave * ramp


def _band_rms(samples: np.ndarray, rate: int, low: float, high: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    inside = (frequencies >= low) & (frequencies <= high)
    return float(np.sqrt(2 * spectrum[inside].sum()) / len(samples)) or _NOISE_RMS


def _scaled(wave: np.ndarray, rms: float) -> np.ndarray:
    return np.asarray(wave / np.sqrt(np.mean(wave**2)) * rms)
