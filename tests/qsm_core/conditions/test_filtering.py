"""The filters: attenuation at known frequencies, no delay, any length."""

from __future__ import annotations

import numpy as np
import pytest

from qsm_core.audio.level import dbfs
from qsm_core.conditions.filtering import apply_band
from qsm_core.conditions.grid import Band


def gain_db(band, frequency_hz):
    times = np.arange(32_000) / 16_000
    tone = (0.5 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)
    middle = slice(8_000, 24_000)
    return dbfs(apply_band(tone, band)[middle]) - dbfs(tone[middle])


def butterworth_gain_db(band, frequency_hz, order=4):
    """Return the gain of two passes of the bilinear-transformed Butterworth filter.

    |H|^2 = 1 / (1 + w^2n), with w the prewarped frequency tan(pi f / fs) over that of the corner;
    of the band-pass w = (W^2 - W1 W2) / (W (W2 - W1)).
    """
    warped, low, high = (np.tan(np.pi * f / 16_000) for f in (frequency_hz, 300, 3400))
    ratio = {
        Band.LOWPASS: warped / high,
        Band.HIGHPASS: low / warped,
        Band.BANDPASS: (warped**2 - low * high) / (warped * (high - low)),
    }[band]
    return -20 * np.log10(1 + ratio ** (2 * order))


FILTERS = [Band.BANDPASS, Band.LOWPASS, Band.HIGHPASS]


@pytest.mark.parametrize("band", FILTERS)
@pytest.mark.parametrize("frequency_hz", [200, 300, 1000, 3400, 5000])
def test_attenuation_is_that_of_the_textbook(band, frequency_hz):
    expected = butterworth_gain_db(band, frequency_hz)
    assert gain_db(band, frequency_hz) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("band", FILTERS)
def test_a_tone_of_1_khz_passes(band):
    assert gain_db(band, 1000) == pytest.approx(0.0, abs=0.1)


def test_low_and_high_tones_do_not_pass():
    # 2 * 10 log10(1 + (300/200)^8) = 28.5 dB, a little more after the warping of frequencies
    assert gain_db(Band.HIGHPASS, 200) == pytest.approx(-28.5, abs=0.5)
    assert gain_db(Band.BANDPASS, 200) < -25
    assert gain_db(Band.LOWPASS, 5000) < -35
    assert gain_db(Band.BANDPASS, 5000) < -35
    assert gain_db(Band.LOWPASS, 200) == pytest.approx(0.0, abs=0.1)
    assert gain_db(Band.HIGHPASS, 5000) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("band", FILTERS)
def test_the_corner_lies_at_6_db(band):
    corner_hz = 3400 if band is Band.LOWPASS else 300
    assert gain_db(band, corner_hz) == pytest.approx(-6.02, abs=0.1)


@pytest.mark.parametrize("band", FILTERS)
def test_there_is_no_delay(band):
    impulse = np.zeros(8_001, dtype=np.float32)
    impulse[4_000] = 1.0
    answer = apply_band(impulse, band)
    assert int(np.argmax(np.abs(answer))) == 4_000
    np.testing.assert_allclose(answer, answer[::-1], atol=1e-5)


@pytest.mark.parametrize("band", Band)
@pytest.mark.parametrize("size", [1, 2, 10, 27, 28, 320])
def test_clips_of_any_length(band, size):
    clip = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    filtered = apply_band(clip, band)
    assert filtered.shape == (size,)
    assert filtered.dtype == np.float32
    assert np.isfinite(filtered).all()


def test_no_filter_changes_nothing():
    clip = np.linspace(-0.5, 0.5, 100, dtype=np.float32)
    np.testing.assert_array_equal(apply_band(clip, Band.NONE), clip)
