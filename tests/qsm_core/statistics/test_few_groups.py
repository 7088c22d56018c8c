"""Few groups: how far out the quantiles lie, degrees of freedom, and what coverage that gives."""

import numpy as np
import pytest
from scipy import stats

from qsm_core.statistics.bootstrap import bca_interval, percentile_interval
from qsm_core.statistics.few_groups import Freedom, carrying_groups, freedom_of
from qsm_core.statistics.sign_flip import sign_flip_test, smallest_p
from tests.support.resampling import resample_sums

ONE_STRATUM = np.zeros(7, dtype=np.int64)


def test_tail_arithmetic() -> None:
    # 7 groups: t(6, 0.975) = 2.447, times sqrt(7 / 6) = 2.643, and Phi(-2.643) = 0.0041.
    freedom = freedom_of(ONE_STRATUM)
    assert (freedom.degrees, freedom.inflation) == (6, pytest.approx(np.sqrt(7 / 6)))
    assert freedom.tail(0.95) == pytest.approx(0.00411, abs=1e-5)
    assert Freedom(1e9, 1.0).tail(0.95) == pytest.approx(0.025, abs=1e-6)


def test_one_stratum_has_the_jackknife_of_all_its_groups() -> None:
    values = np.array([0.2, 0.9, 0.4, 0.7, 0.1, 0.8, 0.5])
    without = (values.sum() - values) / 6
    found = freedom_of(ONE_STRATUM, without)
    assert (found.degrees, found.inflation) == (pytest.approx(6), pytest.approx(np.sqrt(7 / 6)))


def test_two_strata_have_the_degrees_of_welch() -> None:
    # The difference of two means: Welch's test has the same degrees of freedom.
    rng = np.random.default_rng(1)
    one, other = rng.normal(0, 1, 6), rng.normal(0, 4, 25)
    strata = np.repeat([0, 1], [6, 25])
    without = np.concatenate(
        [
            (one.sum() - one) / 5 - other.mean(),
            one.mean() - (other.sum() - other) / 24,
        ]
    )
    welch = stats.ttest_ind(one, other, equal_var=False)
    found = freedom_of(strata, without)
    assert found.degrees == pytest.approx(welch.df)
    drawn = np.sqrt(one.var() / 6 + other.var() / 25)  # of endless resamples
    p = found.p_value(one.mean() - other.mean(), found.inflation * drawn)
    assert p == pytest.approx(welch.pvalue)


def test_groups_that_carry_the_errors_give_the_degrees() -> None:
    # Errors 1, 1, 2 and 0: (1 + 1 + 2)^2 / (1 + 1 + 4) = 2.67 groups; the right answers, 9, 9, 8
    # and 10, are carried by 36^2 / 326 = 3.98. The fewer count: 1.67 degrees of freedom.
    strata, errors = np.zeros(4, dtype=np.int64), np.array([1.0, 1, 2, 0])
    parts = np.stack([errors, 10 - errors])
    assert carrying_groups(parts) == pytest.approx(16 / 6)
    without = (parts[1].sum() - parts[1]) / 30
    found = freedom_of(strata, without, parts)
    assert found.degrees == pytest.approx(16 / 6 - 1)
    assert found.inflation == freedom_of(strata, without).inflation
    # Groups that add alike change nothing, and one group alone leaves one degree of freedom.
    assert carrying_groups(np.ones((2, 7))) == 7
    alone = np.stack([np.eye(7)[0], 10 - np.eye(7)[0]])
    one = freedom_of(ONE_STRATUM, (alone[1].sum() - alone[1]) / 60, alone)
    assert one.degrees == pytest.approx(1)


def test_without_jackknife_the_smallest_stratum_counts() -> None:
    strata = np.repeat([0, 1], [3, 40])
    assert freedom_of(strata).degrees == 2
    assert freedom_of(strata, np.full(43, np.nan)).degrees == 2
    assert freedom_of(strata, np.ones(43)).degrees == 2  # no group moves the statistic


def test_smallest_p_is_reached_and_never_passed() -> None:
    # 4 groups that all lean the same way: only the pattern itself and its opposite are as extreme.
    values, strata = np.array([1.0, 2.0, 3.0, 4.0]), np.zeros(4, dtype=np.int64)
    found = sign_flip_test(
        values,
        strata=strata,
        shares=np.full(4, 0.25),
        num_permutations=99,
        rng=np.random.default_rng(0),
    )
    assert found.p_value == found.smallest_p == 2 / 2**4
    assert smallest_p(7, 10_000) == 1 / 64
    assert smallest_p(0, 10_000) == 1  # nobody differs
    assert smallest_p(50, 9_999) == 1e-4  # of drawn patterns


@pytest.mark.slow
def test_coverage_of_rates_near_one() -> None:
    # 13 groups that are right 95 % of the time, rows of a group correlated by 0.1: by all groups
    # 89 % of the intervals hold the truth, by those that carry the errors 94 %.
    rng = np.random.default_rng(13)
    strata, repeats, all_groups, carriers = np.zeros(13, dtype=np.int64), 500, 0, 0
    for _ in range(repeats):
        rows = 22.0 * rng.integers(1, 4, 13)
        right = rng.binomial(rows.astype(int), rng.beta(9 * 0.95, 9 * 0.05, 13)).astype(float)
        weights = rng.multinomial(13, np.full(13, 1 / 13), size=800)
        drawn = (weights @ right) / (weights @ rows)
        without = (right.sum() - right) / (rows.sum() - rows)
        for parts in (None, np.stack([rows - right, right])):
            tail = freedom_of(strata, without, parts).tail(0.95)
            found = percentile_interval(drawn, tail=tail)
            holds = found.known and found.low <= 0.95 <= found.high
            all_groups += holds and parts is None
            carriers += holds and parts is not None
    assert all_groups / repeats < 0.915
    assert 0.93 < carriers / repeats < 0.97


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["percentile", "BCa"])
def test_coverage_with_seven_groups(kind: str) -> None:
    # 7 voices with 10 rows each: plain percentile intervals of 95 % hold the truth in 90 % of the
    # studies. Expanded they do in 93 to 97 %.
    rng = np.random.default_rng(7)
    repeats, plain, expanded = 600, 0, 0
    for _ in range(repeats):
        right = rng.binomial(10, rng.beta(7, 3, 7)).astype(float)
        drawn = resample_sums(right[:, None], ONE_STRATUM, num_resamples=800, rng=rng)[:, 0] / 70
        without = (right.sum() - right) / 60
        tail = freedom_of(ONE_STRATUM, without).tail(0.95)
        for cut in (None, tail):
            if kind == "BCa":
                found = bca_interval(
                    drawn,
                    estimate=right.sum() / 70,
                    jackknife=without,
                    strata=ONE_STRATUM,
                    tail=cut,
                )
            else:
                found = percentile_interval(drawn, tail=cut)
            holds = found.known and found.low <= 0.7 <= found.high
            plain, expanded = plain + (holds and cut is None), expanded + (holds and cut == tail)
    assert plain / repeats < 0.925
    assert 0.93 < expanded / repeats < 0.975
