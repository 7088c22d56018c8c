"""Benjamini and Hochberg, families of tests, and many sign-flip tests at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from qsm_core.statistics.multiplicity import benjamini_hochberg, by_family, holm
from qsm_core.statistics.sign_flip import sign_flip_test, sign_flip_tests

P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_arithmetic() -> None:
    # 0.01, 0.02, 0.04 of three: 0.01 * 3 / 1 = 0.03, 0.02 * 3 / 2 = 0.03, 0.04 * 3 / 3 = 0.04.
    assert benjamini_hochberg([0.04, 0.01, 0.02]).tolist() == pytest.approx([0.04, 0.03, 0.03])


@settings(max_examples=60, deadline=None)
@given(P)
def test_equals_statsmodels_and_lies_between_raw_and_holm(p: list[float]) -> None:
    found = benjamini_hochberg(p)
    np.testing.assert_allclose(found, multipletests(p, method="fdr_bh")[1], atol=1e-12)
    assert np.all(found >= np.array(p) - 1e-12)
    assert np.all(found <= holm(p) + 1e-12)


def test_a_test_that_was_not_made_does_not_count() -> None:
    found = benjamini_hochberg([0.02, np.nan, 0.04])
    assert found[[0, 2]].tolist() == pytest.approx([0.04, 0.04])
    assert np.isnan(found[1])


def test_families_are_corrected_apart() -> None:
    p, families = [0.01, 0.03, 0.04], ["tuning", "prompt", "tuning"]
    assert by_family(p, families).tolist() == pytest.approx([0.02, 0.03, 0.04])
    assert by_family(p, ["all"] * 3).tolist() == pytest.approx(holm(p).tolist())
    with pytest.raises(ValueError, match="give one for each"):
        by_family(p, ["all"])


@pytest.mark.slow
def test_corrections_keep_their_promise() -> None:
    # 20 tests, 15 of them of nothing, in 2,000 studies. Holm: a false finding in at most 5 %;
    # Benjamini and Hochberg: at most 5 % of the findings are false on average.
    rng = np.random.default_rng(0)
    any_false = false_share = 0.0
    for _ in range(2000):
        p = np.concatenate([rng.random(15), rng.beta(0.1, 10, 5)])
        any_false += np.any(holm(p)[:15] <= 0.05)
        found = benjamini_hochberg(p) <= 0.05
        false_share += found[:15].sum() / max(found.sum(), 1)
    assert any_false / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    assert false_share / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_many_sign_flips_are_each_alone() -> None:
    rng = np.random.default_rng(1)
    strata = np.array([1, 0] * 15)
    values = rng.normal(0.2, 1, size=(30, 4))
    values[:, 3] = 0.0
    values[:10, 3] = rng.normal(0.5, 1, 10)  # 10 groups contribute: all patterns are counted
    shares = np.full((30, 4), 1 / 15)
    many = sign_flip_tests(values, strata=strata, shares=shares, num_permutations=20_000, rng=rng)
    for i, found in enumerate(many):
        alone = sign_flip_test(
            values[:, i], strata=strata, shares=shares[:, i], num_permutations=20_000, rng=rng
        )
        assert found.statistic == pytest.approx(alone.statistic)
        assert found.difference == pytest.approx(alone.difference)
        assert found.p_value == pytest.approx(alone.p_value, abs=0.015)
    assert [found.exact for found in many] == [False, False, False, True]
