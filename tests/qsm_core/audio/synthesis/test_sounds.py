"""Procedural sounds, source-filter babble and the random channel."""

from __future__ import annotations

import numpy as np
import pytest

from qsm_core.audio.synthesis.channel import (
    MILD_CHANNEL,
    PRETRAINING_CHANNEL,
    ChannelSettings,
    random_channel,
)
from qsm_core.audio.synthesis.sounds import FAMILIES, synthesize_sound
from qsm_core.audio.synthesis.vocal_tract import synthesize_babble
from qsm_core.errors import ConfigurationError

NOTHING = ChannelSettings(
    tilt=0, band=0, telephone=0, reverberation=0, compression=0, coding=0, noise=0
)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_gives_new_and_repeatable_sounds(family):
    first, again = (synthesize_sound(family, np.random.default_rng(3), 1.0) for _ in range(2))
    other = synthesize_sound(family, np.random.default_rng(4), 1.0)
    assert first.shape == (16_000,)
    assert first.dtype == np.float32
    assert np.abs(first).max() == pytest.approx(1.0)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unknown_family_is_named_with_the_allowed_ones():
    with pytest.raises(ConfigurationError, match="'choir' is unknown; allowed: animal_calls"):
        synthesize_sound("choir", np.random.default_rng(0), 1.0)


def test_babble_has_a_pitch_in_the_range_of_voices():
    # The autocorrelation of a voiced stretch peaks at the pitch period: 65 to 450 Hz for people.
    found = 0
    for seed in range(6):
        waveform = synthesize_babble(np.random.default_rng(seed), 1.0).astype(np.float64)
        frames = waveform[:15_360].reshape(-1, 1024)
        loudest = frames[(frames**2).sum(1).argmax()]
        correlation = np.correlate(loudest, loudest, "full")[1023:]
        lag = 35 + int(correlation[35:250].argmax())
        found += correlation[lag] > 0.5 * correlation[0]
    assert found >= 5


def test_babble_is_repeatable_and_every_speaker_is_new():
    first, again, other = (
        synthesize_babble(np.random.default_rng(seed), 1.0) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("settings", [MILD_CHANNEL, PRETRAINING_CHANNEL])
def test_channel_keeps_length_and_sets_peak(settings):
    waveform = synthesize_sound("melody", np.random.default_rng(0), 1.0)
    for seed in range(20):
        heard = random_channel(waveform, np.random.default_rng(seed), settings)
        assert heard.shape == waveform.shape
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() == pytest.approx(1.0, abs=1e-5)


def test_channel_without_steps_changes_nothing_but_the_peak():
    waveform = 0.5 * synthesize_sound("melody", np.random.default_rng(0), 1.0)
    heard = random_channel(waveform, np.random.default_rng(0), NOTHING)
    assert heard == pytest.approx(2 * waveform, abs=1e-6)


def test_telephone_leaves_nothing_above_four_kilohertz():
    waveform = synthesize_sound("hiss", np.random.default_rng(1), 1.0)
    telephone = ChannelSettings(**{**vars(NOTHING), "telephone": 1.0})
    for seed in range(5):
        heard = random_channel(waveform, np.random.default_rng(seed), telephone)
        power = np.abs(np.fft.rfft(heard)) ** 2  # bins of 1 Hz
        assert power[4400:].sum() < 0.01 * power.sum()
