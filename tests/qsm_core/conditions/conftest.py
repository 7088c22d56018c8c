"""The default bank of rooms, simulated once for all tests of this folder."""

from __future__ import annotations

import pytest

from qsm_core.conditions.rirs import RirBank, simulate_rirs


@pytest.fixture(scope="session")
def default_bank() -> RirBank:
    return simulate_rirs(42, t60s_s=(0.3, 1.0, 2.5))
