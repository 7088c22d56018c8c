"""The interval over seeds and clips: its limits, and its coverage in simulated studies."""

import numpy as np
import pytest
from scipy import stats

from qsm_core.statistics.crossed import crossed_interval


def test_without_spread_over_clips_it_is_students_interval():
    scores = np.array([0.91, 0.88, 0.93, 0.9, 0.89])
    expected = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    mean = scores.mean()
    assert crossed_interval(scores, mean, mean, 0.95) == pytest.approx(tuple(expected))


def test_without_spread_over_seeds_it_is_that_of_the_clips():
    assert crossed_interval([0.8, 0.8], 0.7, 0.83, 0.9) == pytest.approx((0.7, 0.83))


def test_it_is_cut_at_0_and_1_and_unknown_where_the_clips_are():
    low, high = crossed_interval([1.0, 0.7], 0.7, 1.0, 0.95)
    assert (low, high) == (0, 1)
    assert np.isnan(crossed_interval([0.8, 0.9], np.nan, np.nan, 0.95)).all()


@pytest.mark.parametrize(("seeds_sd", "clips_sd"), [(0.03, 0.01), (0.01, 0.03), (0.02, 0.02)])
def test_it_covers_the_true_mean_as_often_as_it_says(seeds_sd, clips_sd):
    rng = np.random.default_rng(3)
    groups, studies, covered = 40, 2000, 0
    for _ in range(studies):
        luck = rng.normal(0, clips_sd * np.sqrt(groups), groups)
        scores = 0.6 + rng.normal(0, seeds_sd, 5) + luck.mean()
        reach = stats.t.ppf(0.975, groups - 1) * luck.std(ddof=1) / np.sqrt(groups)
        low, high = scores.mean() - reach, scores.mean() + reach
        found = crossed_interval(scores, low, high, 0.95)
        covered += found[0] <= 0.6 <= found[1]
    assert 0.94 < covered / studies < 0.98
