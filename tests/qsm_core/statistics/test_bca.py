"""BCa intervals: the acceleration by hand, scipy as reference, coverage of both kinds."""

import numpy as np
import pytest
from scipy import stats

from qsm_core.statistics.bootstrap import (
    acceleration_of,
    bca_interval,
    draw_weights,
    percentile_interval,
    standard_error,
)
from tests.support.clustered_pairs import within_simulation_error
from tests.support.resampling import resample_sums


def test_acceleration_by_hand() -> None:
    # The mean of 0, 0, 3 is 1; without each: 1.5, 1.5, 0, mean 1. l = 2 (1 - value): -1, -1, 2.
    # a = (6 / 27) / (6 (6 / 9)^1.5) = 0.222222 / 3.265986 = 0.0680414.
    jackknife = np.array([1.5, 1.5, 0.0])
    assert acceleration_of(jackknife, np.zeros(3, dtype=np.int64)) == pytest.approx(0.0680414)


def test_equals_scipy() -> None:
    # scipy's bootstrap of two samples draws within each, as strata do. On the same resamples the
    # two intervals are the same number.
    rng = np.random.default_rng(0)
    one, other = rng.exponential(2, 25), rng.exponential(1, 40)
    reference = stats.bootstrap(
        (one, other),
        lambda x, y, axis: x.mean(axis=axis) - y.mean(axis=axis),
        n_resamples=5000,
        method="BCa",
        rng=rng,
    )
    strata = np.repeat([0, 1], [25, 40])
    without = np.concatenate(
        [
            [(one.sum() - v) / 24 - other.mean() for v in one],
            [one.mean() - (other.sum() - v) / 39 for v in other],
        ]
    )
    found = bca_interval(
        reference.bootstrap_distribution,
        estimate=one.mean() - other.mean(),
        jackknife=without,
        strata=strata,
    )
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval))
    # And our own draws have the distribution of scipy's.
    parts = np.concatenate([one / 25, -other / 40])
    drawn = resample_sums(parts[:, None], strata, num_resamples=5000, rng=rng)[:, 0]
    assert stats.ks_2samp(drawn, reference.bootstrap_distribution).pvalue > 0.001


def test_a_symmetric_statistic_has_the_percentile_interval() -> None:
    rng = np.random.default_rng(2)
    drawn = rng.normal(size=200_000)
    jackknife = np.tile([-1.0, 1.0], 50)
    found = bca_interval(
        drawn, estimate=0.0, jackknife=jackknife, strata=np.zeros(100, dtype=np.int64)
    )
    plain = percentile_interval(drawn)
    assert found.low == pytest.approx(plain.low, abs=0.02)
    assert found.high == pytest.approx(plain.high, abs=0.02)


def test_refusals() -> None:
    strata = np.zeros(3, dtype=np.int64)
    drawn = np.linspace(0, 1, 100)
    found = bca_interval(drawn, estimate=2.0, jackknife=np.arange(3.0), strata=strata)
    assert found.reason == "all resamples lie on one side of the estimate"
    lost = bca_interval(drawn, estimate=0.5, jackknife=np.array([1, 2, np.nan]), strata=strata)
    assert lost.reason == "the statistic is undefined without one of the groups"


def test_weights_are_draws_within_strata() -> None:
    strata = np.array([0, 0, 1, 1, 1])
    weights = np.concatenate(
        list(draw_weights(strata, num_resamples=500, rng=np.random.default_rng(3)))
    )
    assert np.all(weights[:, :2].sum(axis=1) == 2)
    assert np.all(weights[:, 2:].sum(axis=1) == 3)
    # Counts of one of n draws have mean 1 and variance 1 - 1/n: 0.5 and 0.667.
    assert weights[:, 0].var() == pytest.approx(0.5, abs=0.1)
    assert weights[:, 3].var() == pytest.approx(2 / 3, abs=0.12)


def test_single_and_double_precision_agree() -> None:
    # Whole numbers take the fast path; a half added to each takes the other.
    rng = np.random.default_rng(4)
    sums, strata = rng.integers(0, 30, size=(60, 7)).astype(float), np.repeat([0, 1], 30)
    whole, halves = (
        resample_sums(values, strata, num_resamples=50, rng=np.random.default_rng(5))
        for values in (sums, sums + 0.5)
    )
    np.testing.assert_array_equal(whole, halves - 30)


def test_standard_error() -> None:
    assert standard_error(np.array([1.0, 3.0, np.nan])) == pytest.approx(np.sqrt(2))
    assert np.isnan(standard_error(np.array([1.0])))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_coverage_of_clustered_rates(kind: str) -> None:
    # 60 groups of 10 rows whose chance to be right varies from group to group: the intervals
    # hold the true rate of 0.8 in 93 to 97 % of 1,500 studies.
    rng = np.random.default_rng(6)
    repeats, groups, strata = 1500, 60, np.zeros(60, dtype=np.int64)
    covered = 0
    for _ in range(repeats):
        right = rng.binomial(10, rng.beta(8, 2, groups)).astype(float)
        drawn = resample_sums(right[:, None], strata, num_resamples=600, rng=rng)[:, 0] / 600
        if kind == "bca":
            found = bca_interval(
                drawn,
                estimate=right.sum() / 600,
                jackknife=(right.sum() - right) / 590,
                strata=strata,
            )
        else:
            found = percentile_interval(drawn)
        covered += found.low <= 0.8 <= found.high
    assert 0.93 < covered / repeats < 0.97 or within_simulation_error(covered, repeats, 0.95)
