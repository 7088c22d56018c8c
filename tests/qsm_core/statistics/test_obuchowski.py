"""The modified Obuchowski test: by hand, published data, against permutation, size, power."""

import numpy as np
import pytest
from scipy import stats

from qsm_core.statistics.mcnemar import mcnemar_exact
from qsm_core.statistics.obuchowski import obuchowski_test
from qsm_core.statistics.sign_flip import sign_flip_test
from tests.support.clustered_pairs import draw_pairs, within_simulation_error

# 29 psychiatrists, 135 pairs (Petryshen's data as analyzed by Obuchowski 1998): rows that only the
# first or only the second reading has, and rows, of each psychiatrist.
PSYCHIATRY = (
    [0, 1, 1, 1, 0, 3, 3, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0],
    [4, 2, 3, 2, 1, 3, 0, 2, 2, 4, 2, 4, 3, 2, 1, 3, 1, 2, 0, 0, 0, 2, 1, 2, 2, 0, 0, 1, 1],
    [7, 6, 7, 6, 4, 6, 5, 8, 4, 7, 3, 6, 7, 6, 5, 4, 6, 5, 4, 3, 5, 4, 4, 2, 3, 2, 2, 3, 1],
)


def test_arithmetic() -> None:
    # b - c = 2, 1, -1; n = 4, 4, 2; sum 2, N = 10, d = 0.2. Squares around n d = .8, .8, .4:
    # 1.44 + .04 + 1.96 = 3.44; plain: 4 + 1 + 1 = 6; mean 4.72. X2 = 2/3 * 4 / 4.72 = 0.56497.
    found = obuchowski_test([2, 1, 0], [0, 0, 1], [4, 4, 2])
    assert found.difference == pytest.approx(0.2)
    assert found.statistic == pytest.approx(0.564972, abs=1e-6)
    assert found.p_value == pytest.approx(stats.chi2.sf(0.564972, 1), abs=1e-6)


def test_psychiatry_data() -> None:
    # The published statistics of these data, to know that the counts are theirs: McNemar 11.85,
    # Durkalski et al. (2003) 7.54.
    b, c, n = map(np.array, PSYCHIATRY)
    gained = b - c
    assert (b.sum() - c.sum()) ** 2 / (b.sum() + c.sum()) == pytest.approx(11.85, abs=0.01)
    assert (gained / n).sum() ** 2 / ((gained / n) ** 2).sum() == pytest.approx(7.542, abs=5e-4)
    # 29 clusters, sum of b - c: -29; d = -29 / 135. The variance is the mean of the one around 0
    # (Obuchowski 1998, X2 = 28/29 * 841 / 113 = 7.19) and the one around n d, which is smaller.
    found = obuchowski_test(b, c, n)
    around_zero, around_seen = (gained**2).sum(), ((gained + 29 * n / 135) ** 2).sum()
    expected = 28 / 29 * 841 / ((around_zero + around_seen) / 2)
    assert (gained.sum(), around_zero) == (-29, 113)
    assert found.statistic == pytest.approx(expected)
    assert found.difference == pytest.approx(-29 / 135)
    assert 28 / 29 * 841 / 113 < found.statistic < 11.85


def test_clusters_of_one_row_are_nearly_mcnemar() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(400) < 0.7, rng.random(400) < 0.75
    found = obuchowski_test(first & ~second, second & ~first, np.ones(400))
    assert found.p_value == pytest.approx(mcnemar_exact(first, second).p_value, abs=0.03)


def test_copying_rows_changes_nothing() -> None:
    # Ten copies of each row in a cluster are no more evidence. (McNemar's p would collapse.)
    b, c, n = map(np.array, PSYCHIATRY)
    assert obuchowski_test(10 * b, 10 * c, 10 * n).p_value == pytest.approx(
        obuchowski_test(b, c, n).p_value
    )


def test_swapping_the_systems() -> None:
    b, c, n = PSYCHIATRY
    one, other = obuchowski_test(b, c, n), obuchowski_test(c, b, n)
    assert one.statistic == pytest.approx(other.statistic)
    assert one.difference == pytest.approx(-other.difference)


def test_agrees_with_the_permutation() -> None:
    rng = np.random.default_rng(1)
    # The permutation counts ties as extreme, so its p lies a little above.
    for effect in (0.0, 0.0, 0.01, 0.02, 0.05):
        b, c, n = draw_pairs(rng, clusters=80, effect=effect)
        contributions = (c - b) / n.sum()
        flipped = sign_flip_test(
            contributions,
            strata=np.zeros(80, dtype=np.int64),
            shares=n / n.sum(),
            num_permutations=20_000,
            rng=rng,
        )
        assert obuchowski_test(b, c, n).p_value == pytest.approx(flipped.p_value, abs=0.06)


@pytest.mark.slow
def test_size_and_power_by_simulation() -> None:
    rng = np.random.default_rng(2)
    repeats = 3000
    rejected = {0.0: 0, 0.03: 0}
    mcnemar_rejected = 0
    for effect in rejected:
        for _ in range(repeats):
            b, c, n = draw_pairs(rng, clusters=100, effect=effect)
            rejected[effect] += obuchowski_test(b, c, n).p_value < 0.05
            if effect == 0:
                statistic = (b.sum() - c.sum()) ** 2 / max(b.sum() + c.sum(), 1)
                mcnemar_rejected += stats.chi2.sf(statistic, 1) < 0.05
    assert within_simulation_error(rejected[0.0], repeats, 0.05)
    assert rejected[0.03] / repeats > 0.8
    # Why it is needed: McNemar's test on the same rows finds a difference far too often.
    assert mcnemar_rejected / repeats > 0.10


@pytest.mark.parametrize(
    ("b", "c", "n", "message"),
    [
        ([1], [0], [2], "at least 2"),
        ([1, 2], [0, 0], [2], "one entry a cluster"),
        ([3, 0], [0, 0], [2, 2], "from 0 to its rows"),
    ],
)
def test_refusals(b, c, n, message) -> None:
    with pytest.raises(ValueError, match=message):
        obuchowski_test(b, c, n)


def test_no_discordant_row() -> None:
    assert obuchowski_test([0, 0], [0, 0], [3, 4]).p_value == 1.0
