"""The interval over seeds and clips: its limits, and its coverage in simulated studies."""

import numpy as np
import pytest
from scipy import stats

from qsm_core.statistics.crossed import crossed_interval


def test_without_spread_over_clips_it_is_students_interval():
    scores = np.array([0.91, 0.88, 0.93, 0.9, 0.89])
    found = crossed_interval(scores, 0.0, 40, 0.95)
    expected = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected))
    assert found.degrees == pytest.approx(4)


def test_without_spread_over_seeds_it_is_that_of_the_clips():
    found = crossed_interval([0.8, 0.8], 0.02**2, 31, 0.9)
    assert found.high - 0.8 == pytest.approx(stats.t.ppf(0.95, 30) * 0.02)
    assert crossed_interval([1.0, 1.0], 0.0, 9, 0.95).low == 1.0
    assert crossed_interval([1.0, 0.9], 0.1, 9, 0.95).high == 1.0


@pytest.mark.parametrize(("seeds_sd", "clips_sd"), [(0.03, 0.01), (0.01, 0.03), (0.02, 0.02)])
def test_it_covers_the_true_mean_as_often_as_it_says(seeds_sd, clips_sd):
    rng = np.random.default_rng(3)
    groups, studies, covered = 40, 2000, 0
    for _ in range(studies):
        luck = rng.normal(0, clips_sd * np.sqrt(groups), groups)
        scores = 0.6 + rng.normal(0, seeds_sd, 5) + luck.mean()
        found = crossed_interval(scores, luck.var(ddof=1) / groups, groups, 0.95)
        covered += found.low <= 0.6 <= found.high
    assert 0.93 < covered / studies < 0.98
