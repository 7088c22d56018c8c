"""Convolution with a room, against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from qsm_core.audio.level import dbfs
from qsm_core.conditions.reverberation import reverberate
from tests.support.clips import make_clip


def test_it_is_the_convolution_up_to_its_level():
    clip, response = make_clip(0, 20), make_clip(1, 10)
    wet = reverberate(clip, response)
    naive = np.array(
        [
            sum(response[k] * clip[n - k] for k in range(min(n + 1, response.size)))
            for n in range(clip.size)
        ]
    )
    naive *= np.sqrt(np.mean(clip**2) / np.mean(naive**2))
    np.testing.assert_allclose(wet, naive, atol=1e-5)


@pytest.mark.parametrize("size", [1, 160, 16_000, 40_000])
def test_length_and_level_stay(size, default_bank):
    clip = make_clip(2, size / 16)
    wet = reverberate(clip, default_bank.responses[1.0][0].samples)
    assert wet.shape == clip.shape
    assert wet.dtype == np.float32
    assert dbfs(wet) == pytest.approx(dbfs(clip), abs=0.01)


def test_the_direct_sound_comes_at_once(default_bank):
    clip = np.zeros(16_000, dtype=np.float32)
    clip[4_000] = 0.9
    wet = reverberate(clip, default_bank.responses[0.3][1].samples)
    assert np.max(np.abs(wet[:4_000])) < 1e-4 * np.max(np.abs(wet))
    assert abs(int(np.argmax(np.abs(wet))) - 4_000) < 160  # within 10 ms


def test_a_room_of_one_impulse_changes_nothing():
    clip = make_clip(3, 100)
    np.testing.assert_allclose(
        reverberate(clip, np.eye(1, 50, dtype=np.float32)[0]), clip, atol=1e-6
    )


def test_silence_stays_silence(default_bank):
    silence = np.zeros(1_000, dtype=np.float32)
    np.testing.assert_array_equal(
        reverberate(silence, default_bank.responses[0.3][0].samples), silence
    )
