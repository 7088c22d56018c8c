"""Wilson's and the exact interval against their arithmetic, published values and statsmodels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from qsm_core.statistics.proportions import exact_interval, wilson_interval

COUNTS = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_arithmetic_of_nine_in_ten() -> None:
    # z = 1.959964, p = 0.9, n = 10: z^2 / n = 0.384146
    # center = (0.9 + 0.192073) / 1.384146 = 0.788986
    # half = 1.959964 * sqrt(0.9 * 0.1 / 10 + 3.841459 / 400) / 1.384146
    #      = 1.959964 * sqrt(0.009 + 0.009604) / 1.384146 = 0.193138
    interval = wilson_interval(9, 10)
    assert interval.low == pytest.approx(0.788986 - 0.193138, abs=2e-6)
    assert interval.high == pytest.approx(0.788986 + 0.193138, abs=2e-6)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(95, 96, 94.3, 99.8), (18, 20, 69.9, 97.2)],
)
def test_known_values(successes: int, trials: int, low: float, high: float) -> None:
    interval = wilson_interval(successes, trials)
    assert interval.known
    assert (round(100 * interval.low, 1), round(100 * interval.high, 1)) == (low, high)


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_equals_statsmodels(counts: tuple[int, int], confidence: float) -> None:
    successes, trials = counts
    low, high = proportion_confint(successes, trials, alpha=1 - confidence, method="wilson")
    interval = wilson_interval(successes, trials, confidence=confidence)
    assert interval.low == pytest.approx(low, abs=1e-12)
    assert interval.high == pytest.approx(high, abs=1e-12)


@given(COUNTS)
def test_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    successes, trials = counts
    interval = wilson_interval(successes, trials)
    mirrored = wilson_interval(trials - successes, trials)
    assert 0 <= interval.low <= successes / trials <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_ends_at_the_edges_are_exact() -> None:
    assert wilson_interval(0, 7).low == 0.0
    assert wilson_interval(7, 7).high == 1.0
    assert 0 < wilson_interval(7, 7).low < 1


def test_no_trials_is_refused() -> None:
    interval = wilson_interval(0, 0)
    assert not interval.known
    assert interval.reason == "no trials"
    assert interval.to_json()["low"] is None


@pytest.mark.parametrize(("successes", "trials"), [(-1, 3), (4, 3)])
def test_impossible_counts(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        wilson_interval(successes, trials)


def test_confidence_in_percent_is_refused() -> None:
    with pytest.raises(ValueError, match="share between 0 and 1"):
        wilson_interval(1, 2, confidence=95)


def test_arithmetic_of_the_exact_interval() -> None:
    # 20 of 20: the low end p solves p^20 = 0.05, so p = 0.05^(1/20) = 0.860892; 28 of 28 ends at
    # 0.898535, 29 of 29 at 0.901855: below and above 0.9.
    low = exact_interval(20, 20, confidence=0.9).low
    assert low == pytest.approx(0.05 ** (1 / 20), abs=1e-12) == pytest.approx(0.860892, abs=1e-6)
    assert (
        exact_interval(28, 28, confidence=0.9).low
        < 0.9
        < exact_interval(29, 29, confidence=0.9).low
    )


@given(COUNTS, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_exact_interval_equals_statsmodels(counts: tuple[int, int], confidence: float) -> None:
    successes, trials = counts
    low, high = proportion_confint(successes, trials, alpha=1 - confidence, method="beta")
    interval = exact_interval(successes, trials, confidence=confidence)
    assert interval.low == pytest.approx(low, abs=1e-9)
    assert interval.high == pytest.approx(high, abs=1e-9)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9, 0.99])
def test_the_exact_interval_covers_at_each_end(share: float) -> None:
    successes = np.arange(31)
    chances = stats.binom.pmf(successes, 30, share)
    ends = [exact_interval(int(k), 30, confidence=0.9) for k in successes]
    assert chances[[end.low > share for end in ends]].sum() <= 0.05
    assert chances[[end.high < share for end in ends]].sum() <= 0.05


def test_the_exact_interval_of_nothing() -> None:
    assert exact_interval(0, 0).reason == "no trials"
    assert (exact_interval(0, 7).low, exact_interval(7, 7).high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        exact_interval(8, 7)
