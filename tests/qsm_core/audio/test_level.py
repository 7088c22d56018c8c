"""Levels, against arithmetic that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qsm_core.audio.level import amplitude, dbfs, peak_normalize, rms, scale_to


def sine(amplitude=1.0, frequency_hz=1000, duration_s=1.0):
    times = np.arange(round(16_000 * duration_s)) / 16_000
    return (amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def test_a_full_scale_sine_stands_at_minus_3_01_dbfs():
    # rms of a sine is 1/sqrt(2); 20 log10(1/sqrt(2)) = -3.0103
    assert dbfs(sine()) == pytest.approx(-3.0103, abs=1e-3)
    assert dbfs(np.ones(10, dtype=np.float32)) == pytest.approx(0.0)
    assert dbfs(sine(0.1)) == pytest.approx(-23.0103, abs=1e-3)


def test_rms_of_a_few_samples():
    # sqrt((9 + 16) / 2)
    assert rms(np.array([3.0, -4.0], dtype=np.float32)) == pytest.approx(math.sqrt(12.5))


def test_rms_does_not_lose_small_samples_in_a_long_clip():
    clip = np.full(10_000_000, 1e-4, dtype=np.float32)
    assert rms(clip) == pytest.approx(1e-4, rel=1e-6)


def test_silence_and_nothing():
    assert rms(np.zeros(0, dtype=np.float32)) == 0.0
    assert dbfs(np.zeros(100, dtype=np.float32)) == -math.inf
    assert dbfs(np.zeros(0, dtype=np.float32)) == -math.inf


@pytest.mark.parametrize("level_dbfs", [-80.0, -20.0, 0.0, 6.0])
def test_amplitude_undoes_dbfs(level_dbfs):
    assert dbfs(np.full(4, amplitude(level_dbfs))) == pytest.approx(level_dbfs)


def test_amplitude_of_no_level_is_zero():
    assert amplitude(-math.inf) == 0.0


def test_peak_normalize_sets_the_largest_magnitude():
    normalized = peak_normalize(np.array([0.1, -0.3, 0.2], dtype=np.float32))
    np.testing.assert_allclose(normalized, [0.3, -0.9, 0.6], rtol=1e-6)
    assert normalized.dtype == np.float32


def test_peak_normalize_keeps_level_differences_within_a_clip():
    quiet_then_loud = np.concatenate([sine(0.01), sine(0.1)])
    normalized = peak_normalize(quiet_then_loud)
    difference_db = dbfs(normalized[16_000:]) - dbfs(normalized[:16_000])
    assert difference_db == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize("size", [0, 5])
def test_peak_normalize_leaves_silence(size):
    silence = np.zeros(size, dtype=np.float32)
    np.testing.assert_array_equal(peak_normalize(silence), silence)


@pytest.mark.parametrize("target", [1e-4, 0.1, 2.0])
def test_scale_to_sets_the_rms(target):
    scaled = scale_to(sine(0.3), target)
    assert rms(scaled) == pytest.approx(target, rel=1e-5)
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("size", [0, 5])
def test_scale_to_leaves_silence(size):
    silence = np.zeros(size, dtype=np.float32)
    np.testing.assert_array_equal(scale_to(silence, 0.5), silence)
