"""SNR is what it is said to be, also where there is nothing to refer to."""

from __future__ import annotations

import numpy as np
import pytest

from qsm_core.audio.level import dbfs
from qsm_core.conditions.noise import add_noise, is_silent, padding_noise
from qsm_core.seeding import derive_rng
from tests.support.clips import make_clip


@pytest.mark.parametrize("snr_db", [-40.0, -10.0, 0.0, 20.0, 60.0])
@pytest.mark.parametrize("duration_ms", [1, 20, 1000])
def test_the_ratio_is_exact_for_every_clip(snr_db, duration_ms):
    clip = make_clip(3, duration_ms)
    noisy = add_noise(clip, snr_db, derive_rng(0, "noise"))
    assert noisy.dtype == np.float32
    noise = noisy.astype(np.float64) - clip
    assert dbfs(clip) - dbfs(noise) == pytest.approx(snr_db, abs=0.01)


def test_the_noise_is_white_and_gaussian():
    noise = add_noise(make_clip(0, 4000), 0.0, derive_rng(1, "n")) - make_clip(0, 4000)
    deviation = np.std(noise)
    # Of a normal variable 68.27 % lie within one deviation, 99.73 % within three.
    assert np.mean(np.abs(noise) < deviation) == pytest.approx(0.6827, abs=0.01)
    assert np.mean(np.abs(noise) < 3 * deviation) == pytest.approx(0.9973, abs=0.002)
    power = np.abs(np.fft.rfft(noise)) ** 2
    bands = [part.mean() for part in np.array_split(power[1:], 8)]
    assert max(bands) / min(bands) < 1.15


def test_silence_gets_noise_at_minus_80_dbfs():
    silence = np.zeros(16_000, dtype=np.float32)
    assert dbfs(add_noise(silence, -10.0, derive_rng(0, "n"))) == pytest.approx(-80.0, abs=1e-3)


@pytest.mark.parametrize(("level", "silent"), [(0.0, True), (9e-7, True), (2e-6, False)])
def test_silence_ends_at_minus_120_dbfs(level, silent):
    # 20 log10(1e-6) = -120
    assert is_silent(np.full(100, level, dtype=np.float32)) is silent


def test_padding_has_its_level():
    padding = padding_noise(16_000, -80.0, derive_rng(0, "padding"))
    assert padding.dtype == np.float32
    assert dbfs(padding) == pytest.approx(-80.0, abs=0.1)
    assert padding_noise(0, -80.0, derive_rng(0, "padding")).size == 0
