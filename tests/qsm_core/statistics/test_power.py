"""Power: pairs needed against published numbers and simulation, detectable effects, verdicts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower, TTestPower

from qsm_core.statistics.mcnemar import mcnemar_exact
from qsm_core.statistics.power import (
    Verdict,
    fewest,
    minimum_detectable,
    observations_needed,
    pairs_needed,
    verdict_of,
)


def test_arithmetic() -> None:
    # z(0.975) + z(0.8) = 1.95996 + 0.84162 = 2.80158 standard errors.
    assert minimum_detectable(0.01) == pytest.approx(0.0280158, abs=1e-7)
    # Over 5 tests the first step of Holm is 0.05 / 5: z(0.995) = 2.57583.
    assert minimum_detectable(0.01, tests=5) == pytest.approx(0.0341745, abs=1e-6)


@pytest.mark.parametrize(
    ("only_first", "only_second", "pairs"),
    # 3 points at 6 % discordance; 5 points at 10 %; the claim of 99.0 over 95.8 %.
    [(0.045, 0.015, 520), (0.075, 0.025, 310), (0.042, 0.010, 400)],
)
def test_pairs_needed(only_first: float, only_second: float, pairs: int) -> None:
    assert pairs_needed(only_first, only_second) == pytest.approx(pairs, rel=0.02)


def test_agrees_with_the_z_test_of_statsmodels() -> None:
    # A detectable difference of two independent means of 64 with unit variance: SE sqrt(2/64).
    expected = NormalIndPower().solve_power(nobs1=64, alpha=0.05, power=0.8)
    assert minimum_detectable(math.sqrt(2 / 64)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_pairs_needed_give_the_power() -> None:
    rng = np.random.default_rng(0)
    pairs, repeats = pairs_needed(0.075, 0.025), 2000
    found = 0
    for _ in range(repeats):
        kind = rng.choice(3, size=pairs, p=[0.9, 0.075, 0.025])
        found += mcnemar_exact(kind == 1, kind == 2).p_value < 0.05
    # The exact test is cautious: a few points below the 80 % of the formula.
    assert 0.74 < found / repeats < 0.83


@pytest.mark.parametrize(
    ("low", "high", "p", "expected"),
    [
        (0.01, 0.05, 0.001, Verdict.BETTER),
        (-0.05, -0.01, 0.001, Verdict.WORSE),
        (-0.01, 0.03, 0.4, Verdict.NOT_WORSE),
        (-0.03, 0.03, 0.9, Verdict.UNDECIDED),
        # The interval leaves out zero, but not after the correction for the family.
        (0.001, 0.05, 0.08, Verdict.NOT_WORSE),
        (-0.05, -0.001, 0.08, Verdict.UNDECIDED),
        (float("nan"), float("nan"), 0.001, Verdict.UNDECIDED),
        (0.01, 0.05, float("nan"), Verdict.NOT_WORSE),
    ],
)
def test_verdicts(low: float, high: float, p: float, expected: Verdict) -> None:
    assert verdict_of(low, high, p_value=p, margin=0.02) is expected


def test_without_a_margin_nothing_is_not_worse() -> None:
    assert verdict_of(-0.01, 0.03, p_value=0.4, margin=None) is Verdict.UNDECIDED


@given(st.floats(0.02, 0.2), st.floats(0.001, 0.019))
def test_more_discordance_needs_more_pairs(first: float, second: float) -> None:
    assert pairs_needed(first + 0.05, second + 0.05) > pairs_needed(first, second)
    assert pairs_needed(first, second) == pairs_needed(second, first)


def test_refusals() -> None:
    with pytest.raises(ValueError, match="two different ones"):
        pairs_needed(0.1, 0.1)
    with pytest.raises(ValueError, match="smallest loss that matters"):
        verdict_of(0.1, 0.2, p_value=0.1, margin=0.0)
    with pytest.raises(ValueError, match="shares below 1"):
        minimum_detectable(0.1, alpha=5)


def test_observations_needed_arithmetic() -> None:
    # Normal: ((1.644854 + 0.841621) 0.18 / 0.042)^2 = 113.6; Student's t asks for one or two more.
    assert observations_needed(0.042, 0.18) == 115
    assert observations_needed(0.042, 0.08) == 24


@given(st.floats(0.05, 3.0), st.sampled_from([0.01, 0.05]), st.sampled_from([0.5, 0.8, 0.95]))
def test_observations_needed_equals_statsmodels(effect: float, alpha: float, power: float) -> None:
    count = observations_needed(effect, 1.0, alpha=alpha, power=power)

    def reached(observations: int) -> float:
        return TTestPower().power(effect, observations, alpha, alternative="larger")

    assert reached(count) >= power - 1e-9
    assert count == 2 or reached(count - 1) < power + 1e-9


def test_observations_that_do_not_help() -> None:
    assert observations_needed(0.0, 1.0) is None
    assert observations_needed(-1.0, 1.0) is None
    assert observations_needed(0.1, 0.0) == 2
    assert observations_needed(1e-9, 1.0) is None
    with pytest.raises(ValueError, match="spread -1"):
        observations_needed(1.0, -1.0)


@given(st.integers(3, 5000))
def test_the_fewest_that_are_enough(limit: int) -> None:
    assert fewest(lambda count: count >= limit, first=3) == limit
    assert fewest(lambda _: False, first=3, most=limit) is None
