"""Labelled synthetic clips: balanced, in groups, the same from the same seed."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from qsm_core.audio.synthesis.clips import synthetic_clips
from qsm_core.errors import ConfigurationError
from qsm_core.labels import Label

COUNTS = {"train": 12, "dev": 8, "test": 8}

DIGEST = """
import hashlib
from qsm_core.audio.synthesis.clips import synthetic_clips
whole = hashlib.sha256()
for clip in synthetic_clips(5, {"train": 12, "dev": 8, "test": 8}):
    whole.update(clip.clip_id.encode() + clip.waveform.tobytes())
print(whole.hexdigest())
"""


@pytest.fixture(scope="module")
def clips():
    return list(synthetic_clips(5, COUNTS))


def test_splits_are_balanced_and_as_large_as_requested(clips):
    for split, count in COUNTS.items():
        labels = [clip.label for clip in clips if clip.split == split]
        assert len(labels) == count
        assert labels.count(Label.SPEECH) == count // 2
    assert len({clip.clip_id for clip in clips}) == len(clips)


def test_no_group_is_in_two_splits(clips):
    groups = {split: {c.group_id for c in clips if c.split == split} for split in COUNTS}
    assert not groups["train"] & groups["dev"]
    assert not groups["train"] & groups["test"]
    assert not groups["dev"] & groups["test"]


def test_clips_are_a_second_with_peak_nine_tenths(clips):
    for clip in clips:
        assert clip.waveform.shape == (16_000,)
        assert clip.waveform.dtype == np.float32
        assert np.abs(clip.waveform).max() == pytest.approx(0.9, abs=1e-4)


def test_another_process_makes_the_same_clips(clips):
    whole = hashlib.sha256()
    for clip in clips:
        whole.update(clip.clip_id.encode() + clip.waveform.tobytes())
    there = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert there == whole.hexdigest()


def test_another_seed_makes_other_clips(clips):
    other = next(synthetic_clips(6, COUNTS))
    assert not np.array_equal(other.waveform, clips[0].waveform)


def test_all_wrong_numbers_are_reported_at_once():
    with pytest.raises(ConfigurationError) as caught:
        next(synthetic_clips(0, {"train": 3, "dev": 0}, clip_ms=5, clips_per_recording=0))
    assert len(caught.value.problems) == 4
