"""Durations and memory in SLURM's notation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.workers.slurm.units import format_duration, format_memory, parse_duration, parse_memory


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:01", 1), ("02:30:00", 9000), ("2-01:00:00", 176400), ("100:00:00", 360000)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@given(st.integers(1, 10**8))
def test_a_duration_is_read_back(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["25", "1:00", "12h", "00:00:00", "", "1-2:00:00:00", None])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "mib"), [("48G", 49152), ("800M", 800), ("1T", 1048576),
                                           ("2GB", 2048), ("2gib", 2048)])  # fmt: skip
def test_memory(text, mib):
    assert parse_memory(text) == mib


@given(st.integers(1, 10**7))
def test_memory_is_read_back(mib):
    assert parse_memory(format_memory(mib)) == mib


@pytest.mark.parametrize("text", ["48", "0G", "G", "-1G", "1.5G", ""])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(ValueError, match="memory"):
        parse_memory(text)
