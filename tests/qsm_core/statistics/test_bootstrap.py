"""The cluster bootstrap against the naive one, closed forms, and its own refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from qsm_core.statistics.bootstrap import (
    note_on_few_groups,
    percentile_interval,
    reason_to_refuse,
)
from tests.support.resampling import resample_sums

ONE_STRATUM = np.zeros(40, dtype=np.int64)


def _naive(
    rows_of_group: list[np.ndarray], num_resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw groups, put their rows one after another, take the mean: the definition."""
    means = []
    for _ in range(num_resamples):
        drawn = rng.integers(0, len(rows_of_group), len(rows_of_group))
        means.append(np.concatenate([rows_of_group[group] for group in drawn]).mean())
    return np.array(means)


def test_same_distribution_as_drawing_groups_of_rows() -> None:
    rng = np.random.default_rng(1)
    rows = [rng.random(rng.integers(1, 9)) < rng.random() for _ in range(40)]
    sums = np.array([[group.sum(), len(group)] for group in rows], dtype=float)
    drawn = resample_sums(sums, ONE_STRATUM, num_resamples=4000, rng=rng)
    naive = _naive(rows, 4000, rng)
    assert stats.ks_2samp(drawn[:, 0] / drawn[:, 1], naive).pvalue > 0.01


def test_standard_error_of_a_mean_of_equal_groups() -> None:
    # Groups of one row: the bootstrap variance of the mean is (population variance) / K.
    values = np.random.default_rng(2).normal(size=40)
    drawn = resample_sums(
        values[:, None], ONE_STRATUM, num_resamples=60_000, rng=np.random.default_rng(3)
    )
    expected = values.std() / np.sqrt(40)
    assert drawn.std() / 40 == pytest.approx(expected, rel=0.02)


@given(
    strata=hnp.arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 3)),
    seed=st.integers(0, 10_000),
)
def test_each_stratum_keeps_its_number_of_groups(strata: np.ndarray, seed: int) -> None:
    members = (strata[:, None] == np.arange(4)).astype(float)
    rng = np.random.default_rng(seed)
    drawn = resample_sums(members, strata, num_resamples=20, rng=rng)
    assert np.array_equal(drawn, np.tile(members.sum(axis=0), (20, 1)))


def test_columns_share_their_resamples() -> None:
    values = np.random.default_rng(4).normal(size=(40, 1))
    both = np.hstack([values, 2 * values])
    drawn = resample_sums(both, ONE_STRATUM, num_resamples=500, rng=np.random.default_rng(5))
    assert drawn[:, 1] == pytest.approx(2 * drawn[:, 0])


def test_same_seed_same_resamples() -> None:
    sums = np.arange(40.0)[:, None]
    first, second = (
        resample_sums(sums, ONE_STRATUM, num_resamples=50, rng=np.random.default_rng(6))
        for _ in range(2)
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize("num_resamples", [1, 7, 2500])
def test_number_of_resamples_when_drawn_in_parts(num_resamples: int) -> None:
    strata = np.zeros(5000, dtype=np.int64)  # 800 resamples to a part
    drawn = resample_sums(
        np.ones((5000, 2)), strata, num_resamples=num_resamples, rng=np.random.default_rng(7)
    )
    assert drawn.shape == (num_resamples, 2)
    assert np.all(drawn == 5000)


def test_percentiles() -> None:
    # 101 equally spaced values: the 2.5 and 97.5 % points lie at 0.025 and 0.975.
    interval = percentile_interval(np.linspace(0, 1, 101))
    assert (interval.low, interval.high) == pytest.approx((0.025, 0.975))


@pytest.mark.slow
def test_coverage_with_clustered_rows() -> None:
    # 95 % intervals of a mean with a strong group effect hold the true mean about 95 % of the
    # time; intervals that take rows as independent do far worse.
    rng = np.random.default_rng(8)
    covered, naive_covered, repeats = 0, 0, 300
    for _ in range(repeats):
        groups = rng.normal(size=60)
        rows = groups[:, None] + 0.3 * rng.normal(size=(60, 10))
        sums = np.column_stack([rows.sum(axis=1), np.full(60, 10.0)])
        drawn = resample_sums(sums, np.zeros(60, dtype=np.int64), num_resamples=800, rng=rng)
        interval = percentile_interval(drawn[:, 0] / drawn[:, 1])
        covered += interval.low <= 0 <= interval.high
        half = 1.96 * rows.std() / np.sqrt(rows.size)
        naive_covered += abs(rows.mean()) <= half
    assert covered / repeats > 0.90
    assert naive_covered / repeats < 0.60


def test_undefined_resamples() -> None:
    values = np.linspace(0, 1, 1000)
    few, many = values.copy(), values.copy()
    few[:5], many[:50] = np.nan, np.nan
    assert percentile_interval(few).known
    refused = percentile_interval(many)
    assert not refused.known
    assert "undefined in 5.0 % of the resamples" in str(refused.reason)


def test_no_width_is_refused() -> None:
    interval = percentile_interval(np.full(100, 0.75))
    assert not interval.known
    assert "every resample gives 0.75" in str(interval.reason)


def test_single_group_is_refused_and_few_are_noted() -> None:
    assert "SPEECH comes from 1 group;" in str(reason_to_refuse({"SPEECH": 1, "NONSPEECH": 9}))
    assert reason_to_refuse({"SPEECH": 2, "NONSPEECH": 9}) is None
    assert "SPEECH: 2, NONSPEECH: 9" in str(note_on_few_groups({"SPEECH": 2, "NONSPEECH": 9}))
    assert note_on_few_groups({"SPEECH": 10, "NONSPEECH": 10}) is None


@pytest.mark.parametrize(
    ("sums", "strata", "num_resamples"),
    [
        (np.ones(3), np.zeros(3, dtype=np.int64), 5),
        (np.ones((3, 1)), np.zeros(2, dtype=np.int64), 5),
        (np.ones((0, 1)), np.zeros(0, dtype=np.int64), 5),
        (np.ones((3, 1)), np.zeros(3, dtype=np.int64), 0),
    ],
)
def test_wrong_shapes(sums: np.ndarray, strata: np.ndarray, num_resamples: int) -> None:
    with pytest.raises(ValueError, match=r"give \(K, M\)|need one of each"):
        resample_sums(sums, strata, num_resamples=num_resamples, rng=np.random.default_rng(0))
