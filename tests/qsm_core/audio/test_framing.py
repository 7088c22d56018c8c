"""The geometry of cutting and placing, for every length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsm_core.audio.framing import (
    center_crop,
    center_span,
    duration_ms,
    num_samples,
    place_centered,
)

LENGTHS = st.integers(min_value=0, max_value=500)


@pytest.mark.parametrize(
    ("milliseconds", "samples"),
    [
        (0, 0),
        (20, 320),
        (40, 640),
        (60, 960),
        (80, 1280),
        (100, 1600),
        (1000, 16_000),
        (2000, 32_000),
    ],
)
def test_milliseconds_are_whole_samples(milliseconds, samples):
    assert num_samples(milliseconds) == samples
    assert duration_ms(samples) == milliseconds


def test_a_crop_is_the_middle():
    clip = np.arange(7, dtype=np.float32)
    np.testing.assert_array_equal(center_crop(clip, 3), [2, 3, 4])
    np.testing.assert_array_equal(center_crop(clip, 4), [1, 2, 3, 4])  # one more cut at the end
    np.testing.assert_array_equal(center_crop(clip, 7), clip)
    np.testing.assert_array_equal(center_crop(clip, 9), clip)


@given(size=LENGTHS, length=LENGTHS)
def test_a_crop_has_its_length_and_is_centred(size, length):
    cropped = center_crop(np.arange(size, dtype=np.float32), length)
    assert cropped.size == min(size, length)
    if cropped.size:
        before, after = int(cropped[0]), size - 1 - int(cropped[-1])
        assert after - before in (0, 1)


@given(inner=LENGTHS, padding=LENGTHS)
def test_what_is_placed_lies_in_the_middle_between_the_padding(inner, padding):
    clip = np.ones(inner, dtype=np.float32)
    around = -1 - np.arange(padding, dtype=np.float32)
    placed = place_centered(clip, around)
    span = center_span(inner, inner + padding)
    assert placed.dtype == np.float32
    assert placed.size == inner + padding
    np.testing.assert_array_equal(placed[span], clip)
    np.testing.assert_array_equal(np.delete(placed, span), around)
    before, after = span.start, placed.size - span.stop
    assert after - before in (0, 1)


def test_a_placed_clip_shares_no_memory():
    clip = np.ones(4, dtype=np.float32)
    placed = place_centered(clip, np.zeros(0, dtype=np.float32))
    placed[:] = 5
    np.testing.assert_array_equal(clip, np.ones(4))


def test_a_clip_longer_than_its_container_has_no_place():
    with pytest.raises(ValueError, match="5 samples do not fit into a container of 4"):
        center_span(5, 4)
