"""The sound bank: two-second synthetic sounds as log-mel spectra, made once for all training.

Each entry depends on the seed and its own number only, so any number of processes makes the same
bank. Shapes: N entries, L = 200 frames of 10 ms, M = 128 mel bins.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.synthesis.channel import PRETRAINING_CHANNEL, random_channel
from qsm_core.audio.synthesis.sounds import FAMILIES, synthesize_sound
from qsm_core.audio.synthesis.speech import (
    PRETRAINING_VOICES,
    Voice,
    random_delivery,
    synthesize_speech,
)
from qsm_core.audio.synthesis.texts import invented_sentence
from qsm_core.audio.synthesis.vocal_tract import synthesize_babble
from qsm_core.seeding import derive_rng
from recipes.embedded_model.features import log_mel

ENTRY_S = 2.0
_SAMPLES = int(ENTRY_S * SAMPLE_RATE_HZ)
_MUSIC = ("band", "chords", "drums", "melody", "pad", "desktop_sound")
_CHUNK = 50

Report = Callable[[int, int, str], None]
_Job = tuple[int, str, int, int, tuple[Voice, ...]]


@dataclass(frozen=True)
class SoundBank:
    """Spectra of speech and of other sounds, float16 log10 mel power, (N, 200, 128) each."""

    speech: torch.Tensor
    other: torch.Tensor


def build_bank(
    seed: int,
    num_speech: int,
    num_other: int,
    *,
    voices: tuple[Voice, ...] = PRETRAINING_VOICES,
    processes: int = 2,
    report: Report | None = None,
) -> SoundBank:
    """Synthesize a bank; the number of processes changes nothing in it."""
    jobs = [
        (seed, kind, start, min(start + _CHUNK, total), voices)
        for kind, total in (("speech", num_speech), ("other", num_other))
        for start in range(0, total, _CHUNK)
    ]
    parts = []
    for part in _run(jobs, processes):
        parts.append(part)
        if report is not None and len(parts) % 20 == 0:
            report(len(parts), len(jobs), "sound bank")
    speech = [part for job, part in zip(jobs, parts, strict=True) if job[1] == "speech"]
    other = [part for job, part in zip(jobs, parts, strict=True) if job[1] == "other"]
    return SoundBank(
        torch.from_numpy(np.concatenate(speech)), torch.from_numpy(np.concatenate(other))
    )


def _run(jobs: list[_Job], processes: int) -> Iterator[np.ndarray]:
    """Yield the parts in the order of the jobs."""
    if processes == 1:
        yield from map(_chunk, jobs)
        return
    # Not fork: a child of a process with running threads can hang.
    with multiprocessing.get_context("spawn").Pool(processes, _one_thread) as pool:
        yield from pool.imap(_chunk, jobs)


def speech_segment(rng: np.random.Generator, voices: tuple[Voice, ...]) -> np.ndarray:
    """Return two seconds of a voice of libespeak-ng or of the source-filter model."""
    if rng.random() < 0.4:
        return synthesize_babble(rng, ENTRY_S)
    voice = voices[int(rng.integers(len(voices)))]
    text = invented_sentence(rng, int(rng.integers(3, 8)))
    waveform = synthesize_speech(text, voice, random_delivery(rng))
    if rng.random() < 0.6:
        waveform = _warp(waveform, float(np.exp(rng.uniform(np.log(0.75), np.log(1.3)))))
    return cut(waveform, rng)


def cut(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut two seconds at random; a shorter waveform gets silence around it."""
    if waveform.size > _SAMPLES:
        start = int(rng.integers(waveform.size - _SAMPLES))
        return waveform[start : start + _SAMPLES]
    before = int(rng.integers(_SAMPLES - waveform.size + 1))
    return np.pad(waveform, (before, _SAMPLES - waveform.size - before))


def other_segment(rng: np.random.Generator) -> np.ndarray:
    """Return two seconds of a sound that is not speech; music-like ones are drawn more often."""
    names = sorted(FAMILIES)
    weights = np.array([2.0 if name in _MUSIC else 1.0 for name in names])
    family = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    return synthesize_sound(family, rng, ENTRY_S)


def _warp(waveform: np.ndarray, factor: float) -> np.ndarray:
    """Play faster (`factor` > 1) or slower: another vocal tract, pitch and pace."""
    size = int(waveform.size / factor)
    at = np.arange(size) * factor
    return np.asarray(np.interp(at, np.arange(waveform.size), waveform), dtype=np.float32)


def _chunk(job: _Job) -> np.ndarray:
    """Make the entries of one job: float16 (count, 200, 128)."""
    seed, kind, start, stop, voices = job
    waveforms = []
    for number in range(start, stop):
        rng = derive_rng(seed, "bank", kind, number)
        waveform = speech_segment(rng, voices) if kind == "speech" else other_segment(rng)
        if rng.random() < 0.75:
            waveform = random_channel(waveform, rng, PRETRAINING_CHANNEL)
        waveforms.append(0.9 * waveform / (np.abs(waveform).max() + 1e-9))
    spectra = log_mel(torch.from_numpy(np.stack(waveforms)).float())
    return spectra.half().numpy()


def _one_thread() -> None:
    torch.set_num_threads(1)
