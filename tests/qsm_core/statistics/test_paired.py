"""The paired tests against their definitions, scipy and statsmodels."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar

from qsm_core.statistics.mcnemar import mcnemar_exact
from qsm_core.statistics.sign_flip import SignFlipResult, sign_flip_test

BOOLEANS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80)


def _test(contributions: list[float], strata: list[int], **kwargs: object) -> SignFlipResult:
    values, codes = np.array(contributions), np.array(strata)
    shares = 1 / np.bincount(codes)[codes]
    settings_of_test = {"num_permutations": 2000, "rng": np.random.default_rng(0), **kwargs}
    return sign_flip_test(values, strata=codes, shares=shares, **settings_of_test)


def _naive_p(contributions: list[float], strata: list[int]) -> float:
    """Enumerate every pattern and compute difference / standard error by its definition."""

    def statistic(values: np.ndarray) -> float:
        variance = 0.0
        for code in set(strata):
            own = values[np.array(strata) == code]
            variance += len(own) / (len(own) - 1) * np.sum((own - own.mean()) ** 2)
        total = values.sum()
        if variance <= 1e-14 * np.sum(values**2):
            return np.inf if abs(total) > 1e-12 else 0.0
        return abs(total) / np.sqrt(variance)

    values = np.array(contributions)
    observed = statistic(values)
    patterns = [np.array(signs) for signs in product([1.0, -1.0], repeat=len(values))]
    extreme = [statistic(signs * values) >= observed * (1 - 1e-9) for signs in patterns]
    return float(np.mean(extreme))


def test_mcnemar_arithmetic() -> None:
    # 1 row that only the first has right, 5 that only the second has:
    # p = 2 * (C(6,0) + C(6,1)) / 2^6 = 2 * 7 / 64 = 0.21875
    first = [True] * 4 + [True] + [False] * 5
    second = [True] * 4 + [False] + [True] * 5
    result = mcnemar_exact(first, second)
    assert (result.only_first, result.only_second) == (1, 5)
    assert result.p_value == pytest.approx(0.21875)


@given(BOOLEANS)
def test_mcnemar_equals_statsmodels(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    table = [[np.sum(first & second), np.sum(first & ~second)]]
    table += [[np.sum(~first & second), np.sum(~first & ~second)]]
    assert mcnemar_exact(first, second).p_value == pytest.approx(mcnemar(table, exact=True).pvalue)


def test_mcnemar_without_discordant_rows() -> None:
    assert mcnemar_exact([True, False], [True, False]).p_value == 1.0


def test_mcnemar_of_different_rows() -> None:
    with pytest.raises(ValueError, match="the same rows"):
        mcnemar_exact([True], [True, False])


def test_sign_flip_arithmetic() -> None:
    # One stratum with contributions 1, 2, 3. Sum 6, mean 2, squares around it 2, times 3/2: 3;
    # t = 6 / sqrt(3) = 3.46. Of the 8 patterns only +++ and --- reach it: p = 2/8.
    result = _test([1.0, 2.0, 3.0], [0, 0, 0])
    assert result.statistic == pytest.approx(6 / np.sqrt(3))
    assert (result.p_value, result.num_patterns, result.exact) == (0.25, 8, True)
    assert result.difference == 6.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=4, max_size=9),
    st.integers(2, 7),
)
def test_sign_flip_equals_enumeration(values: list[int], split: int) -> None:
    split = min(split, len(values) - 2)
    strata = [0] * split + [1] * (len(values) - split)
    result = _test([float(value) for value in values], strata)
    assert result.p_value == pytest.approx(_naive_p(list(map(float, values)), strata))


def test_drawn_patterns_agree_with_all_of_them() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0.25, 1, 13).tolist()
    strata = [0] * 6 + [1] * 7
    exact = _test(values, strata)
    # Fourteen groups are too many to enumerate; the last one carries next to nothing.
    drawn = _test([*values, 1e-9], [*strata, 1], num_permutations=40_000)
    assert exact.exact
    assert not drawn.exact
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.03)


def test_no_difference_has_p_one() -> None:
    result = _test([0.0] * 6, [0, 0, 0, 1, 1, 1])
    assert (result.difference, result.statistic, result.p_value) == (0.0, 0.0, 1.0)


def test_groups_that_all_agree() -> None:
    # No variance: the statistic is infinite for all-plus and all-minus only: p = 2 / 2^5.
    result = _test([0.5] * 5, [0] * 5)
    assert result.statistic == np.inf
    assert result.p_value == pytest.approx(2 / 32)


def test_trade_between_classes_does_not_hide_a_difference() -> None:
    # One class gains much more than the other loses, each group nearly alike. The plain
    # difference sees only large contributions of both signs; studentised it is certain.
    rng = np.random.default_rng(4)
    values = np.concatenate(
        [0.06 + 0.005 * rng.normal(size=15), -0.04 + 0.005 * rng.normal(size=15)]
    )
    result = _test(values.tolist(), [0] * 15 + [1] * 15)
    plain = np.abs((rng.integers(0, 2, (2000, 30)) * 2 - 1) @ values) >= abs(values.sum())
    assert result.p_value < 0.01
    assert plain.mean() > 0.10


@pytest.mark.slow
def test_size_when_only_balanced_accuracies_are_equal() -> None:
    # The systems differ (one class up, the other down by as much), their difference is zero:
    # rejected about one time in twenty.
    rng = np.random.default_rng(5)
    rejected = 0
    for _ in range(400):
        values = np.concatenate([rng.normal(0.5, 1, 25), rng.normal(-0.5, 1, 25)])
        result = _test(values.tolist(), [0] * 25 + [1] * 25, num_permutations=400, rng=rng)
        rejected += result.p_value <= 0.05
    assert 0.02 <= rejected / 400 <= 0.09


@pytest.mark.parametrize(
    ("contributions", "strata", "message"),
    [
        ([], [], "one entry a group"),
        ([1.0, 2.0, 3.0], [0, 0, 1], "at least 2 groups"),
        ([1.0, np.nan], [0, 0], "finite"),
    ],
)
def test_refusals(contributions: list[float], strata: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sign_flip_test(
            np.array(contributions),
            strata=np.array(strata, dtype=np.int64),
            shares=np.ones(len(strata)),
            num_permutations=10,
            rng=np.random.default_rng(0),
        )
