"""Small prepared corpora: harmonic tones stand for speech, noise for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qsm_core.data.corpus import Corpus, CorpusClip, write_corpus
from qsm_core.data.schema import ClipRow
from qsm_core.labels import Label

SAMPLE_RATE_HZ = 16_000


def make_corpus(
    folder: Path,
    *,
    train: int = 8,
    dev: int = 4,
    test: int = 4,
    clip_ms: int = 200,
    seed: int = 0,
    poison_test: bool = False,
) -> Corpus:
    """Write a corpus with `train`, `dev` and `test` clips, half of each class.

    With `poison_test` the test clips are full-scale clicks and carry the opposite label.
    """
    counts = {"train": train, "dev": dev, "test": test}
    return write_corpus(folder, _clips(counts, clip_ms, seed, poison_test))


def _clips(
    counts: dict[str, int], clip_ms: int, seed: int, poison_test: bool
) -> Iterator[CorpusClip]:
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for number in range(count):
            label = (Label.SPEECH, Label.NONSPEECH)[number % 2]
            waveform = _waveform(label, clip_ms, rng)
            if poison_test and split == "test":
                label = (Label.NONSPEECH, Label.SPEECH)[number % 2]
                waveform = np.where(np.arange(waveform.size) % 100, 0.0, 1.0).astype(np.float32)
            name = f"{split}-{number:03d}"
            row = ClipRow(
                clip_id=name, group_id=f"group-{name}", label=label, split=split, source="test"
            )
            yield CorpusClip(row, waveform)


def _waveform(label: Label, clip_ms: int, rng: np.random.Generator) -> np.ndarray:
    times = np.arange(SAMPLE_RATE_HZ * clip_ms // 1000) / SAMPLE_RATE_HZ
    pitch_hz = rng.uniform(100, 250)
    tone = sum(np.sin(2 * np.pi * k * pitch_hz * times) / k for k in range(1, 12))
    noise = rng.standard_normal(times.size)
    waveform = tone if label is Label.SPEECH else noise
    return (0.9 * waveform / np.abs(waveform).max()).astype(np.float32)
