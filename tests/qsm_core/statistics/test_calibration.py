"""Calibration: by hand, by definition, against scikit-learn, and on simulated probabilities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from qsm_core.statistics.calibration import (
    adaptive_bins,
    brier_scores,
    expected_calibration_error,
    fit_temperature,
    log_losses,
    logits_of,
    reliability,
    with_temperature,
)

P = st.lists(st.floats(0, 1), min_size=4, max_size=40)


def test_arithmetic() -> None:
    # Two bins of two rows: (0.1, 0.3) with 0 of 2 positive, (0.7, 0.9) with 1 of 2.
    # ECE = (|0.4 - 0| + |1.6 - 1|) / 4 = 0.25. Brier = (0.01 + 0.09 + 0.49 + 0.01) / 4 = 0.15.
    p, y = [0.1, 0.3, 0.7, 0.9], [0, 0, 0, 1]
    assert expected_calibration_error(p, y, 2) == pytest.approx(0.25)
    assert brier_scores(p, y).mean() == pytest.approx(0.15)
    points = reliability(p, y, adaptive_bins(p, 2))
    assert points.mean_p.tolist() == pytest.approx([0.2, 0.8])
    assert points.share_positive.tolist() == [0, 0.5]
    assert (points.lowest.tolist(), points.highest.tolist()) == ([0.1, 0.7], [0.3, 0.9])


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(500)
    y = rng.random(500) < p**2
    assert brier_scores(p, y).mean() == pytest.approx(brier_score_loss(y, p))
    assert log_losses(logits_of(p), y).mean() == pytest.approx(log_loss(y, p), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(P, st.integers(2, 10))
def test_bins_hold_equally_many_and_equal_values_share_one(p: list[float], bins: int) -> None:
    made = adaptive_bins(p, bins)
    values = np.array(p)
    assert set(made.tolist()) == set(range(made.max() + 1))
    assert made.max() < bins
    for value in set(p):
        assert len(set(made[values == value].tolist())) == 1
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(made[order]) >= 0)
    if len(set(p)) == len(p):
        assert np.bincount(made).max() <= int(np.ceil(len(p) / bins)) + 1


@settings(max_examples=40, deadline=None)
@given(P)
def test_error_lies_between_0_and_1(p: list[float]) -> None:
    y = np.arange(len(p)) % 2 == 0
    assert 0 <= expected_calibration_error(p, y, 5) <= 1


def test_noise_lifts_the_error_of_perfect_probabilities() -> None:
    rng = np.random.default_rng(1)
    errors = {}
    for rows in (200, 20_000):
        p = rng.random((50, rows))
        errors[rows] = np.mean([expected_calibration_error(q, rng.random(rows) < q) for q in p])
    assert errors[200] > 5 * errors[20_000]
    assert errors[20_000] < 0.02


def test_temperature_of_overconfident_logits() -> None:
    # Logits that are three times too large: T = 3 makes them right again.
    rng = np.random.default_rng(2)
    true = rng.normal(0, 2, 60_000)
    y = rng.random(60_000) < with_temperature(true, 1.0)
    assert fit_temperature(3 * true, y) == pytest.approx(3.0, rel=0.03)
    before = expected_calibration_error(with_temperature(3 * true, 1.0), y)
    after = expected_calibration_error(with_temperature(3 * true, 3.0), y)
    assert after < 0.15 * before


def test_temperature_is_that_of_logistic_regression_without_intercept() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, 400)
    y = rng.random(400) < with_temperature(logits, 0.6)
    model = LogisticRegression(C=np.inf, fit_intercept=False).fit(logits[:, None], y)
    assert fit_temperature(logits, y) == pytest.approx(1 / model.coef_[0, 0], rel=1e-3)


def test_temperature_changes_no_answer() -> None:
    logits = np.linspace(-4, 4, 81)
    for temperature in (0.2, 1.0, 7.0):
        assert np.array_equal(with_temperature(logits, temperature) > 0.5, logits > 0)


def test_extreme_probabilities_stay_finite() -> None:
    assert np.isfinite(log_losses(logits_of([0.0, 1.0]), [1, 0])).all()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        brier_scores([1.2], [1])
    with pytest.raises(ValueError, match="one or more"):
        adaptive_bins([])
    with pytest.raises(ValueError, match="2 or more"):
        adaptive_bins([0.5], 1)
    with pytest.raises(ValueError, match="need both classes"):
        fit_temperature([1.0, 2.0], [1, 1])
