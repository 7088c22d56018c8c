"""Simulated rooms: their T60, their start, and the same samples in any process."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from qsm_core.conditions.decay import measure_t60_s
from qsm_core.conditions.rooms import simulate_rir
from qsm_core.errors import ConfigurationError
from tests.support.fresh_process import run_python


def schroeder_t30_s(response):
    """T60 by the definition, without the code under test: two crossings of the decay curve."""
    energy = np.cumsum(response.astype(np.float64)[::-1] ** 2)[::-1]
    level_db = 10 * np.log10(energy / energy[0])
    return 2 * (np.argmax(level_db <= -35) - np.argmax(level_db <= -5)) / 16_000


def test_every_room_of_the_default_bank_has_its_t60(default_bank):
    rooms = [(level, room) for level, found in default_bank.responses.items() for room in found]
    assert len(rooms) == 12
    for level, room in rooms:
        assert measure_t60_s(room.samples) == pytest.approx(level, rel=0.1)
        assert schroeder_t30_s(room.samples) == pytest.approx(level, rel=0.15)
        assert room.t60_s == pytest.approx(level, rel=0.1)


@pytest.mark.parametrize("t60_s", [0.2, 0.25, 0.5, 4.0])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_other_reverberation_times(t60_s, index):
    assert measure_t60_s(simulate_rir(t60_s, index, seed=1)) == pytest.approx(t60_s, rel=0.1)


def test_a_response_starts_at_the_direct_sound(default_bank):
    for rooms in default_bank.responses.values():
        for room in rooms:
            peak = np.max(np.abs(room.samples))
            assert abs(room.samples[0]) > 0.3 * peak
            assert room.samples.dtype == np.float32


def test_rooms_differ_by_index_and_seed():
    rooms = [simulate_rir(0.3, index, seed) for index, seed in [(0, 1), (1, 1), (0, 2)]]
    lengths_and_starts = {(room.size, float(room[1])) for room in rooms}
    assert len(lengths_and_starts) == 3


def test_a_t60_that_no_room_has():
    with pytest.raises(ConfigurationError, match=r"T60 0\.05 s: no shoebox room .*0\.2 s to 8 s"):
        simulate_rir(0.05, 0, 1)


@pytest.mark.slow
def test_the_same_samples_in_another_process_and_order():
    code = """
import hashlib, sys
from qsm_core.conditions.rooms import simulate_rir
simulate_rir(0.5, 3, 9)  # another room first
sys.stdout.write(hashlib.sha256(simulate_rir(0.3, 1, 42).tobytes()).hexdigest())
"""
    here = hashlib.sha256(simulate_rir(0.3, 1, 42).tobytes()).hexdigest()
    assert run_python(code, hash_seed=1) == here
    assert run_python(code, hash_seed=2) == here
