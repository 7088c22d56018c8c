"""What a condition promises is measured back from the rendered audio."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.audio.framing import center_span
from qsm_core.audio.level import dbfs, peak_normalize
from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.grid import DURATIONS_MS, SNRS_DB, STANDARD_GRID, parse_condition
from qsm_core.conditions.rendering import render, render_clip
from qsm_core.conditions.rirs import RirBank, RoomResponse
from qsm_core.errors import ConfigurationError, DataError
from tests.support.clips import make_clip
from tests.support.fresh_process import run_python

SETTINGS = RenderSettings()
CLIP = peak_normalize(make_clip(5, 1000))
MIDDLE = center_span(16_000, 32_000)
STANDARD_KEYS = [condition.key for condition in STANDARD_GRID]
IMPULSE = np.eye(1, 200, dtype=np.float32)[0]
SIMPLE_BANK = RirBank({level: (RoomResponse("dry", level, IMPULSE),) for level in (0.3, 1.0, 2.5)})


def rendered(key, clip=CLIP, *, clip_id="clip", rirs=SIMPLE_BANK, **changes):
    return render(
        clip,
        None if key is None else parse_condition(key),
        clip_id=clip_id,
        settings=replace(SETTINGS, **changes),
        rirs=rirs,
    )


def measured_snr_db(clip, mixture):
    """SNR of a mixture that may have been scaled.

    The scale is found by least squares; noise is what is left. For the part of the noise that
    looks like the clip (a share of 1/T) this is off by about 0.1 dB at -10 dB.
    """
    clip, mixture = clip.astype(np.float64), mixture.astype(np.float64)
    scale = clip @ mixture / (clip @ clip)
    return dbfs(scale * clip) - dbfs(mixture - scale * clip)


@pytest.mark.parametrize("key", [None, *STANDARD_KEYS])
def test_every_rendering_is_a_container_of_audio(key):
    audio = rendered(key)
    assert audio.shape == (32_000,)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    assert np.max(np.abs(audio)) <= 1.0


@pytest.mark.parametrize("key", ["clean", "reverb_none", "filter_none", "dur_1000ms"])
def test_neutral_conditions_hold_the_clip_itself(key):
    audio = rendered(None if key == "clean" else key)
    np.testing.assert_array_equal(audio[MIDDLE], CLIP)


@pytest.mark.parametrize("duration_ms", DURATIONS_MS)
def test_durations_are_exact_and_centred(duration_ms):
    ones = np.full(16_000, 0.5, dtype=np.float32)
    audio = rendered(f"dur_{duration_ms:g}ms", ones, padding_dbfs=-math.inf)
    length = round(duration_ms * 16)
    inside = np.flatnonzero(audio)
    assert inside.size == length
    assert inside[0] == (32_000 - length) // 2
    assert inside[-1] == inside[0] + length - 1


@pytest.mark.parametrize("duration_ms", DURATIONS_MS)
def test_a_duration_takes_the_middle_of_the_clip(duration_ms):
    audio = rendered(f"dur_{duration_ms:g}ms")
    length = round(duration_ms * 16)
    np.testing.assert_array_equal(
        audio[center_span(length, 32_000)], CLIP[center_span(length, 16_000)]
    )


@pytest.mark.parametrize("key", [None, *STANDARD_KEYS])
def test_padding_stands_at_minus_80_dbfs(key):
    padding = np.delete(rendered(key), MIDDLE)
    assert padding.size == 16_000
    # Of 16000 samples of noise the level has a standard deviation of 0.05 dB.
    assert dbfs(padding) == pytest.approx(-80.0, abs=0.2)


@pytest.mark.parametrize("snr_db", SNRS_DB)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_snr_holds_on_the_clip(snr_db, seed):
    # Quiet enough that no mixture is scaled: the noise is then the plain difference.
    clip = make_clip(seed, 1000) * np.float32(0.05)
    audio = rendered(f"snr_{snr_db:g}dB", clip, clip_id=f"clip{seed}")
    noise = audio[MIDDLE].astype(np.float64) - clip
    assert dbfs(clip) - dbfs(noise) == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("snr_db", SNRS_DB)
def test_a_loud_mixture_is_scaled_and_keeps_its_snr(snr_db):
    audio = rendered(f"snr_{snr_db:g}dB")
    assert measured_snr_db(CLIP, audio[MIDDLE]) == pytest.approx(snr_db, abs=0.2)
    # Where it had to be scaled one sample touches full scale; clipping would flatten many.
    assert np.count_nonzero(np.abs(audio) >= 1.0) <= 1


def test_a_mixture_is_the_quiet_one_times_a_number():
    quiet = rendered("snr_-10dB", CLIP * np.float32(0.01))[MIDDLE]
    loud = rendered("snr_-10dB")[MIDDLE]
    assert np.max(np.abs(loud)) == 1.0
    np.testing.assert_allclose(loud, quiet / np.max(np.abs(quiet)), atol=1e-5)


@pytest.mark.parametrize("snr_db", SNRS_DB)
def test_snr_of_the_container_is_3_01_db_off_on_the_clip(snr_db):
    # The clip fills half of the container, so its RMS over the whole is lower by
    # 10 log10(2) = 3.01 dB; noise set against that is lower by as much.
    clip = CLIP * np.float32(0.05)
    audio = rendered(f"snr_{snr_db:g}dB", clip, snr_reference="container")
    noise = audio[MIDDLE].astype(np.float64) - clip
    assert dbfs(clip) - dbfs(noise) == pytest.approx(snr_db + 3.01, abs=0.1)
    around = dbfs(np.delete(audio, MIDDLE))
    assert around == pytest.approx(dbfs(noise), abs=0.15)  # it covers the padding too


@pytest.mark.parametrize("snr_reference", ["clip", "container"])
def test_a_silent_clip_gets_noise_like_the_padding(snr_reference):
    silence = np.zeros(16_000, dtype=np.float32)
    audio = rendered("snr_-10dB", silence, snr_reference=snr_reference)
    assert dbfs(audio[MIDDLE]) == pytest.approx(-80.0, abs=0.01)
    assert dbfs(np.delete(audio, MIDDLE)) == pytest.approx(-80.0, abs=0.2)


@pytest.mark.parametrize("t60_s", [0.3, 1.0, 2.5])
def test_the_room_of_a_rendering_has_its_t60(default_bank, t60_s):
    click = np.zeros(round(16_000 * 1.5 * t60_s), dtype=np.float32)
    click[0] = 0.9
    for clip_id in ("a", "b", "c", "d"):
        audio = rendered(
            f"reverb_{t60_s}s", click, clip_id=clip_id, rirs=default_bank, container_ms=0.0
        )
        decay_db = 10 * np.log10(np.cumsum(audio[::-1].astype(np.float64) ** 2)[::-1] + 1e-30)
        decay_db -= decay_db[0]
        seconds = 2 * (np.argmax(decay_db <= -35) - np.argmax(decay_db <= -5)) / 16_000
        assert seconds == pytest.approx(t60_s, rel=0.15)


def test_reverberation_is_heard_and_keeps_the_level(default_bank):
    for key in ("reverb_0.3s", "reverb_1.0s", "reverb_2.5s"):
        audio = rendered(key, CLIP * np.float32(0.3), rirs=default_bank)[MIDDLE]
        assert dbfs(audio) == pytest.approx(dbfs(CLIP * np.float32(0.3)), abs=0.01)
        assert np.corrcoef(audio, CLIP)[0, 1] < 0.99


def test_reverberation_without_rooms_is_an_error():
    with pytest.raises(DataError, match=r"reverb_0\.3s: no bank was given"):
        rendered("reverb_0.3s", rirs=None)
    with pytest.raises(DataError, match=r"T60 0\.3 s: the bank holds 1 s"):
        rendered("reverb_0.3s", rirs=RirBank({1.0: SIMPLE_BANK.responses[1.0]}))


def test_conditions_without_a_room_need_no_bank():
    for key in ("reverb_none", "snr_0dB", "dur_20ms", "filter_lowpass"):
        np.testing.assert_array_equal(rendered(key, rirs=None), rendered(key))


def test_a_long_clip_keeps_its_length():
    clip = peak_normalize(make_clip(1, 2500))
    audio = rendered(None, clip)
    np.testing.assert_array_equal(audio, clip)
    assert not np.shares_memory(audio, clip)


def test_the_clip_is_left_as_it_was(default_bank):
    before = CLIP.copy()
    CLIP.flags.writeable = False
    try:
        for key in STANDARD_KEYS:
            audio = rendered(key, rirs=default_bank)
            audio += 1  # the caller owns what it gets
    finally:
        CLIP.flags.writeable = True
    np.testing.assert_array_equal(CLIP, before)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros(0, dtype=np.float32), "it holds no samples"),
        (np.array([0.1, np.nan], dtype=np.float32), "values that are not finite"),
        (np.array([0.1, np.inf], dtype=np.float32), "values that are not finite"),
        (np.zeros((2, 100), dtype=np.float32), r"float32 of shape \(2, 100\)"),
        (np.zeros(100, dtype=np.int16), r"int16 of shape \(100,\): must be float32"),
    ],
)
@pytest.mark.parametrize("key", [None, "snr_0dB", "filter_lowpass", "reverb_0.3s", "dur_20ms"])
def test_what_is_no_clip_is_refused(key, clip, message):
    with pytest.raises(DataError, match=rf"(?s)clip clip cannot be rendered.*{message}"):
        rendered(key, clip)


def test_a_clip_shorter_than_its_duration_is_refused():
    clip = make_clip(0, 500)
    assert rendered("dur_500ms", clip).size == 32_000
    message = "it lasts 500 ms, but dur_1000ms needs 1000 ms: prepare longer clips"
    with pytest.raises(DataError, match=message):
        rendered("dur_1000ms", clip)


@pytest.mark.parametrize("key", STANDARD_KEYS)
@pytest.mark.parametrize("size", [1, 2, 20, 319])
def test_very_short_clips(key, size):
    clip = np.linspace(-0.5, 0.4, size, dtype=np.float32)
    if key.startswith("dur_"):
        with pytest.raises(DataError, match="prepare longer clips"):
            rendered(key, clip)
    else:
        audio = rendered(key, clip)
        assert audio.shape == (32_000,)
        assert np.isfinite(audio).all()


def test_settings_that_cannot_work():
    with pytest.raises(ConfigurationError, match=r"container_ms = -1(?s:.*)padding_dbfs = 0"):
        RenderSettings(container_ms=-1, padding_dbfs=0)
    with pytest.raises(ConfigurationError, match="padding_dbfs = nan"):
        RenderSettings(padding_dbfs=math.nan)


@settings(max_examples=30, deadline=None)
@given(
    size=st.integers(1, 5_000),
    peak=st.floats(0.1, 10.0),
    snr_db=st.integers(-40, 60),
    container_ms=st.integers(0, 400),
)
def test_no_clip_wraps_or_clips_at_any_level(size, peak, snr_db, container_ms):
    clip = peak_normalize(np.random.default_rng(size).standard_normal(size), peak)
    audio = rendered(f"snr_{snr_db}dB", clip, container_ms=container_ms)
    assert audio.size == max(size, container_ms * 16)
    assert np.max(np.abs(audio)) <= 1.0
    inside = audio[center_span(size, audio.size)]
    quiet = rendered(f"snr_{snr_db}dB", clip * np.float32(1e-3), container_ms=0)
    # The same mixture at two levels is the same up to a number, so nothing was cut off.
    np.testing.assert_allclose(
        inside / np.max(np.abs(inside)), quiet / np.max(np.abs(quiet)), atol=1e-4
    )


def digest_of_all(keys, clip_ids):
    """SHA-256 of every rendering by name, made in the given order."""
    digests = {
        (clip_id, key): hashlib.sha256(rendered(key, clip_id=clip_id)).hexdigest()
        for clip_id in clip_ids
        for key in keys
    }
    return hashlib.sha256(repr(sorted(digests.items())).encode()).hexdigest()


def test_the_order_of_renderings_has_no_part_in_them():
    forward = digest_of_all(STANDARD_KEYS, ["a", "b"])
    assert digest_of_all(STANDARD_KEYS[::-1], ["b", "a"]) == forward


def test_the_same_bytes_in_other_processes():
    code = """
import sys
from tests.qsm_core.conditions.test_rendering import STANDARD_KEYS, digest_of_all
sys.stdout.write(digest_of_all(STANDARD_KEYS[::-1], ["b", "a"]))
"""
    here = digest_of_all(STANDARD_KEYS, ["a", "b"])
    assert run_python(code, hash_seed=1) == here
    assert run_python(code, hash_seed=99) == here


def test_clip_seed_and_condition_change_what_is_random():
    versions = [
        rendered("snr_0dB"),
        rendered("snr_0dB", clip_id="other"),
        rendered("snr_0dB", seed=43),
        rendered("snr_0.5dB"),
    ]
    noises = [audio[MIDDLE] / dbfs(audio[MIDDLE]) for audio in versions]
    paddings = [np.delete(audio, MIDDLE) for audio in versions]
    for group in (noises, paddings):
        for i in range(len(group)):
            for j in range(i):
                assert not np.allclose(group[i], group[j], atol=1e-6)


def test_noise_of_the_clip_is_not_the_padding_again():
    audio = rendered("snr_0dB", np.zeros(16_000, dtype=np.float32))
    inside, around = audio[MIDDLE], np.delete(audio, MIDDLE)
    assert abs(np.corrcoef(inside, around)[0, 1]) < 0.03


def recorded(key, clip=CLIP, **changes):
    return render_clip(
        clip,
        parse_condition(key),
        clip_id="clip",
        settings=replace(SETTINGS, **changes),
        rirs=SIMPLE_BANK,
    )


@pytest.mark.parametrize("key", STANDARD_KEYS)
def test_a_rendering_and_its_record_are_the_same_audio(key):
    np.testing.assert_array_equal(recorded(key).waveform, rendered(key))


@pytest.mark.parametrize("snr_reference", ["clip", "container"])
def test_the_gain_takes_the_clip_out_of_a_scaled_mixture(snr_reference):
    found = recorded("snr_-10dB", snr_reference=snr_reference)
    assert found.gain < 1
    signal = CLIP * found.gain
    noise = found.waveform[found.span] - signal
    exact_db = -10.0 if snr_reference == "clip" else -10.0 + 3.01
    assert dbfs(signal) - dbfs(noise) == pytest.approx(exact_db, abs=0.1)


def test_what_is_not_scaled_has_gain_1():
    assert recorded("snr_0dB", CLIP * np.float32(0.05)).gain == 1.0
    assert recorded("dur_20ms").gain == 1.0


def test_the_record_says_where_the_clip_lies_and_in_which_room():
    assert recorded("dur_20ms").span == slice(15_840, 16_160)
    assert recorded("reverb_none").span == MIDDLE
    assert recorded("reverb_0.3s").room == "dry"
    assert recorded("reverb_none").room is None


def test_the_record_says_which_clips_are_silent():
    assert recorded("snr_0dB", np.zeros(16_000, dtype=np.float32)).silent
    assert not recorded("snr_0dB").silent


def test_a_crossed_condition_makes_every_change():
    audio = rendered("dur_100ms+snr_20dB+filter_lowpass", snr_reference="clip")
    inside = center_span(1_600, 32_000)
    outside = np.delete(audio, inside)
    assert dbfs(outside) == pytest.approx(-80, abs=0.5)
    alone = rendered("dur_100ms")[inside]
    assert dbfs(audio[inside]) > -40
    assert not np.allclose(audio[inside], alone, atol=1e-3)
    np.testing.assert_array_equal(audio, rendered("filter_lowpass+snr_20dB+dur_100ms"))
    quiet = rendered("dur_100ms+snr_100dB")[inside]
    np.testing.assert_allclose(quiet, alone, atol=1e-3)
    assert measured_snr_db(quiet, rendered("dur_100ms+snr_0dB")[inside]) == pytest.approx(0, abs=1)
