"""A prepared corpus of chirps and impulse responses of noise, for tests that score all conditions.

The audio means nothing: the small model is random too. What counts is that each clip, each
condition and each room gives other numbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qsm_core.conditions.rirs import RirBank, RoomResponse
from qsm_core.data.corpus import CorpusClip, write_corpus
from qsm_core.data.schema import ClipRow
from tests.support.clips import SAMPLE_RATE_HZ, make_clip


def write_chirp_corpus(folder: Path, clips_per_class: int = 3, duration_ms: float = 1000) -> Path:
    """Write `clips_per_class` clips of each class in each of train, dev and test."""
    names = [
        (split, label, index)
        for split in ("train", "dev", "test")
        for label in ("SPEECH", "NONSPEECH")
        for index in range(clips_per_class)
    ]
    clips = []
    for number, (split, label, index) in enumerate(names):
        name = f"{split}_{label.lower()}_{index}"
        row = ClipRow(clip_id=name, group_id=f"g_{name}", label=label, split=split, source="made")
        clips.append(CorpusClip(row, make_clip(number, duration_ms)))
    write_corpus(folder, clips)
    return folder


def write_noise_rirs(path: Path) -> Path:
    """Write decaying noises as the responses of the three reverberant conditions."""
    rng = np.random.default_rng(0)
    responses = {}
    for t60_s in (0.3, 1.0, 2.5):
        times = np.arange(int(SAMPLE_RATE_HZ * min(t60_s, 1.0))) / SAMPLE_RATE_HZ
        samples = rng.standard_normal(times.size) * 10 ** (-3 * times / t60_s)
        responses[t60_s] = (RoomResponse("made", t60_s, samples.astype(np.float32)),)
    path.parent.mkdir(parents=True, exist_ok=True)
    RirBank(responses).save(path)
    return path
