"""AUROC from pair counts: by hand, by definition, against scikit-learn, and its replicates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from qsm_core.statistics.auroc import count_wins, jackknife_areas, resampled_areas
from qsm_core.statistics.bootstrap import draw_weights

ROWS = st.lists(
    st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 4)), min_size=2, max_size=25
).filter(lambda rows: len({positive for _, positive, _ in rows}) == 2)


def _naive(scores, positive, weights=None):
    """The share of pairs that are ordered rightly, one pair after the other."""
    weights = np.ones(len(scores)) if weights is None else weights
    won = pairs = 0.0
    for i in np.flatnonzero(positive):
        for j in np.flatnonzero(~positive):
            pair = weights[i] * weights[j]
            pairs += pair
            won += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
    return won / pairs if pairs else np.nan


def _arrays(rows):
    scores, positive, groups = map(np.array, zip(*rows, strict=True))
    return scores.astype(float), positive.astype(bool), groups


def test_arithmetic() -> None:
    # Positive 3, 1; negative 2, 1. Pairs: 3>2, 3>1 won, 1<2 lost, 1=1 half: 2.5 of 4.
    pairs = count_wins([3, 1, 2, 1], [True, True, False, False], [0, 1, 2, 3])
    assert pairs.area == 2.5 / 4
    assert pairs.wins.tolist() == [[1, 1], [0, 0.5]]


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_is_the_share_of_pairs_and_that_of_scikit_learn(rows) -> None:
    scores, positive, groups = _arrays(rows)
    area = count_wins(scores, positive, groups).area
    assert area == pytest.approx(_naive(scores, positive))
    assert area == pytest.approx(roc_auc_score(positive, scores))


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 2**32 - 1))
def test_resamples_are_those_of_repeated_rows(rows, seed) -> None:
    # Groups may hold both classes here: the quadratic form needs no strata.
    scores, positive, groups = _arrays(rows)
    pairs = count_wins(scores, positive, groups)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 4, size=(5, 5)).astype(np.float64)
    expected = [_naive(scores, positive, weights=w[groups]) for w in weights]
    np.testing.assert_allclose(resampled_areas(pairs, weights), expected, atol=1e-12)
    without = jackknife_areas(pairs, 5)
    for k in range(5):
        keep = (groups != k).astype(float)
        np.testing.assert_allclose(without[k], _naive(scores, positive, keep), atol=1e-12)


def test_single_precision_is_enough() -> None:
    rng = np.random.default_rng(1)
    positive = np.arange(4000) % 2 == 0
    scores = rng.normal(positive * 0.7)
    groups = np.arange(4000) // 10
    pairs = count_wins(scores, positive, groups)
    strata = np.zeros(400, dtype=np.int64)
    (weights,) = draw_weights(strata, num_resamples=50, rng=rng)
    exact = resampled_areas(pairs, weights.astype(np.float64))
    np.testing.assert_allclose(resampled_areas(pairs, weights), exact, atol=2e-6)


def test_no_resample_leaves_zero_to_one() -> None:
    # In single precision the share of pairs won comes out as 1.0000001 now and then.
    positive = np.arange(3000) % 3 == 0
    groups = np.arange(3000) // 6
    pairs = count_wins(positive.astype(float), positive, groups)
    strata = np.zeros(500, dtype=np.int64)
    (weights,) = draw_weights(strata, num_resamples=200, rng=np.random.default_rng(3))
    assert np.all(resampled_areas(pairs, weights) == 1)
    reversed_pairs = count_wins(-positive.astype(float), positive, groups)
    assert np.all(resampled_areas(reversed_pairs, weights) == 0)
    few = count_wins(np.where(np.arange(3000) == 0, -1.0, positive), positive, groups)
    areas = resampled_areas(few, weights)
    assert areas.min() > 0.99
    assert areas.max() == 1  # where the one lost row is not drawn


def test_monotone_scores_change_nothing() -> None:
    rng = np.random.default_rng(2)
    scores, positive, groups = rng.normal(size=60), np.arange(60) % 3 == 0, np.arange(60) // 4
    assert count_wins(np.exp(scores), positive, groups).area == pytest.approx(
        count_wins(scores, positive, groups).area
    )


def test_refusals() -> None:
    with pytest.raises(ValueError, match="one row each"):
        count_wins([1.0, 2.0], [True], [0, 0])
    with pytest.raises(ValueError, match="NaN"):
        count_wins([1.0, np.nan], [True, False], [0, 0])
    assert np.isnan(count_wins([1.0], [True], [0]).area)
