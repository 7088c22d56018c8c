"""The interval of a mean with rare events: its arithmetic, its limits, its coverage."""

import math

import numpy as np
import pytest
from scipy import stats

from qsm_core.statistics.rare_events import Event, parts_of, rare_event_interval

NONE = np.zeros(20, dtype=bool)


def test_arithmetic_without_a_failure_seen() -> None:
    # 20 cases of exactly 1 above the margin; a failure would cost 10. The rate of failures may be
    # 1 - 0.05^(1/20) = 0.139108: low = 1 - 10 * 0.139108 = -0.391083; high = 1, nothing is left.
    interval = rare_event_interval(np.ones(20), [Event(NONE, -10.0)], confidence=0.9)
    assert interval.low == pytest.approx(1 - 10 * (1 - 0.05 ** (1 / 20)), abs=1e-12)
    assert interval.high == 1.0


def test_arithmetic_with_both_parts() -> None:
    # Values 3, 5, 3, 5 and a failure at -6: mean 2; effect -6 - 4 = -10; rate 0.2.
    # Within: squares 4 over 5 - 2 = 3, error sqrt(4 / 3 / 5) = 0.516398, t(3, 0.95) = 2.353363:
    # 1.215276. The rate ends at 0.657408 (1 of 5): 10 * 0.457408 = 4.574080.
    values, failed = np.array([3, 5, 3, 5, -6.0]), np.array([0, 0, 0, 0, 1], dtype=bool)
    interval = rare_event_interval(values, [Event(failed, -99.0)], confidence=0.9)
    assert interval.low == pytest.approx(2 - math.hypot(1.215276, 4.574080), abs=1e-5)
    # Upwards: the rate may be 0.010206: 10 * 0.189794 = 1.897937.
    assert interval.high == pytest.approx(2 + math.hypot(1.215276, 1.897937), abs=1e-5)


def test_without_events_it_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(size=12)
    interval = rare_event_interval(values, [], confidence=0.95)
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((reference.low, reference.high))


def test_an_event_that_raises_the_mean_works_the_other_way() -> None:
    rng = np.random.default_rng(1)
    values, failed = rng.normal(size=30), rng.random(30) < 0.2
    values[failed] -= 5
    down = rare_event_interval(values, [Event(failed, -5.0)])
    up = rare_event_interval(-values, [Event(failed, 5.0)])
    assert (up.low, up.high) == pytest.approx((-down.high, -down.low))
    # And its absence is an event of the opposite effect.
    absent = rare_event_interval(values, [Event(~failed, 5.0)])
    assert (absent.low, absent.high) == pytest.approx((down.low, down.high))


def test_spread_is_that_of_the_cases() -> None:
    rng = np.random.default_rng(2)
    failed = rng.random(4000) < 0.1
    values = rng.normal(0, 0.3, 4000) - 2 * failed
    parts = parts_of(values, [Event(failed, -2.0)])
    assert parts.spread() == pytest.approx(values.std(), rel=0.01)
    assert parts.reach(4000, 0.9, upwards=False) == pytest.approx(
        1.645 * values.std() / math.sqrt(4000), rel=0.05
    )


@pytest.mark.parametrize(
    ("values", "events"),
    [([1.0], []), ([1.0, np.nan], []), ([1.0, 2.0], [Event(np.array([True]), 1.0)])],
)
def test_what_cannot_be_taken_apart(values: list, events: list) -> None:
    with pytest.raises(ValueError, match=r"two or more finite|of each case"):
        rare_event_interval(values, events)


def test_each_case_a_kind_of_its_own() -> None:
    values, failed = np.array([1.0, 0.0]), np.array([False, True])
    assert "none is left to vary" in rare_event_interval(values, [Event(failed, -1.0)]).reason


@pytest.mark.parametrize(("rate", "count"), [(0.03, 30), (0.06, 40), (0.1, 25), (0.02, 100)])
def test_it_covers_where_students_interval_does_not(rate: float, count: int) -> None:
    """The true mean is 0: what failures cost is what the other cases have above it."""
    rng = np.random.default_rng(17)
    above = beyond = plain = 0
    rounds, quantile = 800, stats.t.ppf(0.95, count - 1)
    for _ in range(rounds):
        failed = rng.random(count) < rate
        values = rng.normal(rate / (1 - rate), 0.02, count)
        values[failed] = -1.0
        interval = rare_event_interval(values, [Event(failed, -1.0 - rate)], confidence=0.9)
        above += interval.low > 0
        beyond += interval.high < 0
        plain += values.mean() - quantile * values.std(ddof=1) / math.sqrt(count) > 0
    # 5 % and three standard errors of the simulation.
    limit = 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)
    assert above / rounds <= limit
    assert beyond / rounds <= limit
    assert plain / rounds > limit
