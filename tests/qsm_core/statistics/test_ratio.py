"""Ratios of means and exact signs: arithmetic, definitions and outside references."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from qsm_core.statistics.exact_signs import exact_sign_flip
from qsm_core.statistics.ratio import fieller_interval, ratio_bootstrap, ratio_test
from qsm_core.statistics.sign_flip import sign_flip_test

SMALL = st.lists(st.sampled_from([-0.3, -0.1, 0.0, 0.1, 0.2, 0.7]), min_size=2, max_size=9)


def pairs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=count)
    old = 0.8 + 0.1 * shared + 0.05 * rng.normal(size=count)
    return 0.75 + 0.1 * shared + 0.05 * rng.normal(size=count), old


def test_fieller_arithmetic() -> None:
    # Numerators 1, 2, 3 and denominators 2, 2, 2: the ratio is 1 with the interval of the mean
    # over 2: mean 2, standard error 1 / sqrt(3) = 0.577350, t(2, 0.975) = 4.302653:
    # (2 -+ 2.484138) / 2.
    interval = fieller_interval([1, 2, 3], [2, 2, 2])
    assert interval.low == pytest.approx((2 - 2.484138) / 2, abs=1e-6)
    assert interval.high == pytest.approx((2 + 2.484138) / 2, abs=1e-6)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_fieller_is_all_ratios_that_a_t_test_does_not_reject(confidence: float) -> None:
    new, old = pairs(20)
    interval = fieller_interval(new, old, confidence=confidence)
    for end in (interval.low, interval.high):
        p_value = stats.ttest_1samp(new - end * old, 0).pvalue
        assert p_value == pytest.approx(1 - confidence, abs=1e-9)
    assert interval.low < new.mean() / old.mean() < interval.high


def test_the_test_rejects_where_fieller_leaves_out_the_margin() -> None:
    for seed in range(20):
        new, old = pairs(8, seed)
        low = fieller_interval(new, old, confidence=0.9).low
        for margin in (low - 1e-6, low + 1e-6):
            result = ratio_test(new, old, margin)
            reference = stats.ttest_1samp(new - margin * old, 0, alternative="greater")
            assert result.p_value == pytest.approx(reference.pvalue, abs=1e-12)
            assert (result.p_value < 0.05) == (margin < low)


def test_a_denominator_near_zero_has_no_interval() -> None:
    interval = fieller_interval([1, 2, 3], [-1, 0, 1.5])
    assert not interval.known
    assert "not known to differ from 0" in interval.reason


def test_pairs_that_do_not_vary() -> None:
    assert ratio_test([0.9, 0.9], [1, 1], 0.8).p_value == 0.0
    assert ratio_test([0.8, 0.8], [1, 1], 0.8).p_value == 0.5
    assert ratio_test([0.7, 0.7], [1, 1], 0.8).p_value == 1.0
    interval = fieller_interval([0.9, 0.9], [1, 1])
    assert (interval.low, interval.high) == pytest.approx((0.9, 0.9))


def test_the_bootstrap_keeps_pairs_together() -> None:
    new, old = pairs(60)
    interval = ratio_bootstrap(new, old, confidence=0.9, rng=np.random.default_rng(1))
    fieller = fieller_interval(new, old, confidence=0.9)
    assert interval.low == pytest.approx(fieller.low, abs=0.004)
    assert interval.high == pytest.approx(fieller.high, abs=0.004)
    # Pairs torn apart would be several times as wide.
    assert interval.high - interval.low < 0.06
    again = ratio_bootstrap(new, old, confidence=0.9, rng=np.random.default_rng(1))
    assert interval == again


@pytest.mark.parametrize(("new", "old"), [([1], [1]), ([1, 2], [1]), ([[1, 2]], [[1, 2]])])
def test_what_are_no_pairs(new: list, old: list) -> None:
    with pytest.raises(ValueError, match="two or more pairs"):
        fieller_interval(new, old)


def test_a_value_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        ratio_test([1, np.nan], [1, 2], 0.9)


def test_sign_flip_arithmetic() -> None:
    # 1, 2, 4 have the sums -7 -5 -3 -1 1 3 5 7; the observed 7 is reached by 2 of 8.
    assert exact_sign_flip([1, 2, 4]) == 2 / 8
    # 1, 2, -4: the observed -1; all 8 are at least 1 away from 0.
    assert exact_sign_flip([1, 2, -4]) == 1.0
    assert exact_sign_flip([0, 0]) == exact_sign_flip([]) == 1.0


@given(SMALL)
def test_all_patterns_are_counted(differences: list[float]) -> None:
    sums = [
        round(abs(sum(sign * value for sign, value in zip(signs, differences, strict=True))), 9)
        for signs in product((1, -1), repeat=len(differences))
    ]
    extreme = np.mean(np.array(sums) >= round(abs(sum(differences)), 9))
    assert exact_sign_flip(differences) == pytest.approx(extreme, abs=1e-12)


@settings(max_examples=30)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=12), st.integers(0, 1000))
def test_it_is_the_studentized_test_of_groups_of_one(values: list[float], seed: int) -> None:
    # With one stratum and equal groups the studentized statistic rises with the sum.
    differences = np.round(values, 3) + np.random.default_rng(seed).normal(0, 1e-3, len(values))
    count = len(differences)
    grouped = sign_flip_test(
        differences,
        strata=np.zeros(count, dtype=np.int64),
        shares=np.full(count, 1 / count),
        num_permutations=1,
        rng=np.random.default_rng(0),
    )
    assert grouped.exact
    assert exact_sign_flip(differences) == pytest.approx(grouped.p_value, abs=1e-12)


def test_fourteen_differences_equal_scipy() -> None:
    differences = np.random.default_rng(3).normal(0.3, 1, 14)
    reference = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert exact_sign_flip(differences) == pytest.approx(reference.pvalue, abs=1e-9)


def test_too_many_or_no_numbers() -> None:
    with pytest.raises(ValueError, match="35 differences"):
        exact_sign_flip(np.ones(35))
    with pytest.raises(ValueError, match="one finite number"):
        exact_sign_flip([np.inf])
