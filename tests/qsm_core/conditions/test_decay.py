"""T60 of decays whose T60 is known."""

from __future__ import annotations

import numpy as np
import pytest

from qsm_core.conditions.decay import adjust_t60, measure_t60_s
from qsm_core.errors import DataError


def noise_decay(t60_s, duration_s, seed=0):
    """White noise under an envelope that falls by 60 dB in `t60_s`."""
    seconds = np.arange(round(16_000 * duration_s)) / 16_000
    noise = np.random.default_rng(seed).standard_normal(seconds.size)
    return noise * 10 ** (-3 * seconds / t60_s)


@pytest.mark.parametrize("t60_s", [0.1, 0.3, 1.0, 2.5])
def test_an_exact_exponential(t60_s):
    seconds = np.arange(round(16_000 * 2 * t60_s)) / 16_000
    assert measure_t60_s(10 ** (-3 * seconds / t60_s)) == pytest.approx(t60_s, rel=1e-3)


@pytest.mark.parametrize("t60_s", [0.3, 1.0, 2.5])
def test_noise_that_decays(t60_s):
    assert measure_t60_s(noise_decay(t60_s, 2 * t60_s)) == pytest.approx(t60_s, rel=0.05)


def test_level_and_sign_have_no_part_in_it():
    decay = noise_decay(0.5, 1.0)
    assert measure_t60_s(-0.01 * decay) == pytest.approx(measure_t60_s(decay))


@pytest.mark.parametrize("target_s", [0.3, 0.5, 1.0])
def test_a_decay_gets_the_wanted_t60(target_s):
    adjusted = adjust_t60(noise_decay(0.6, 2.0).astype(np.float32), target_s)
    assert adjusted.dtype == np.float32
    assert measure_t60_s(adjusted) == pytest.approx(target_s, rel=0.02)


def test_the_direct_sound_keeps_its_level_when_the_tail_is_adjusted():
    decay = noise_decay(0.6, 2.0).astype(np.float32)
    assert adjust_t60(decay, 0.3)[0] == decay[0]


@pytest.mark.parametrize("size", [0, 1000])
def test_silence_has_no_t60(size):
    with pytest.raises(DataError, match="the impulse response is silent"):
        measure_t60_s(np.zeros(size))


def test_a_single_impulse_has_no_t60():
    with pytest.raises(DataError, match="does not decay by 35 dB"):
        measure_t60_s(np.eye(1, 100)[0])
