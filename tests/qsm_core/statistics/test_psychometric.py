"""Psychometric fits: known curves, outside optimizers, bounds, thresholds and their outcomes."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import expit, xlogy

from qsm_core.statistics.psychometric import Bounds, Fits, deviance, fit, shares
from qsm_core.statistics.thresholds import Outcome, crossings, threshold_of
from tests.support.clustered_pairs import within_simulation_error

X = np.log10([20, 40, 60, 80, 100, 200, 500, 1000])
FORCED = Bounds(guess=(0.5, 0.5), lapse=(0.0, 0.5))
PLAIN = Bounds(guess=(0.0, 0.0), lapse=(0.0, 0.0))
ENDS = {"lowest": float(X[0]), "highest": float(X[-1])}


LOG_70 = np.log10(70)


def _curve(location=LOG_70, slope=6.0, lapse=0.05, guess=0.5):
    return np.array([[location, np.log(slope), lapse, guess]])


def test_formula() -> None:
    # At the location the rise is half: 0.5 + (1 - 0.5 - 0.1) / 2 = 0.7; far above 1 - 0.1 = 0.9.
    curve = _curve(lapse=0.1)
    assert shares(curve, np.log10([70.0]))[0, 0] == pytest.approx(0.7)
    assert shares(curve, np.array([99.0, -99.0]))[0].tolist() == pytest.approx([0.9, 0.5])


def test_counts_without_noise_give_the_curve_back() -> None:
    curve = _curve()
    rows = np.full((1, 8), 1e6)
    found = fit(X, shares(curve, X) * rows, rows, bounds=FORCED)
    np.testing.assert_allclose(found.parameters, curve, atol=1e-4)
    assert deviance(found, shares(curve, X) * rows, rows)[0] == pytest.approx(0, abs=1e-4)


def test_without_guess_and_lapse_it_is_logistic_regression() -> None:
    rng = np.random.default_rng(1)
    rows = np.full(8, 200)
    right = rng.binomial(rows, expit(4 * (X - 2)))
    found = fit(X, right, rows, bounds=PLAIN).parameters[0]
    model = sm.GLM(
        np.column_stack([right, rows - right]), sm.add_constant(X), sm.families.Binomial()
    )
    intercept, slope = model.fit().params
    assert np.exp(found[1]) == pytest.approx(slope, rel=1e-4)
    assert found[0] == pytest.approx(-intercept / slope, abs=1e-4)


def test_is_the_optimum_that_another_optimizer_finds() -> None:
    rng = np.random.default_rng(2)
    rows = np.full(8, 300)
    right = rng.binomial(rows, shares(_curve(), X)[0])

    def loss(values):
        p = shares(np.array([[*values, 0.5]]), X)[0]
        return -np.sum(xlogy(right, p) + xlogy(rows - right, 1 - p))

    other = optimize.minimize(
        loss, [2.0, 1.5, 0.1], method="Nelder-Mead", bounds=[(0, 4), (-1, 5), (0, 0.5)]
    )
    found = fit(X, right, rows, bounds=FORCED)
    assert -found.log_likelihood[0] <= other.fun + 1e-6
    np.testing.assert_allclose(found.parameters[0][:3], other.x, atol=5e-3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=8, max_size=8))
def test_any_counts_can_be_fitted(right: list[int]) -> None:
    # Falling, flat, empty and full curves: the fit stays within its bounds and beats a constant.
    rows = np.full(8, 30.0)
    found = fit(X, right, rows)
    location, slope, lapse, guess = found.parameters[0]
    assert X[0] - 2 <= location <= X[-1] + 2
    assert np.isfinite(slope)
    assert 0 <= lapse <= 0.95
    assert 0 <= guess <= 0.95
    assert guess + lapse <= 1 + 1e-12  # the curve does not fall
    mean = min(max(np.mean(right) / 30, 0.05), 0.95)
    constant = np.sum(xlogy(right, mean) + xlogy(30 - np.array(right), 1 - mean))
    assert found.log_likelihood[0] >= constant - 1e-3


@settings(max_examples=25, deadline=None)
@given(st.floats(-5, 5), st.floats(0.2, 5))
def test_shift_and_scale_of_the_levels(shift: float, scale: float) -> None:
    rows = np.full(8, 100)
    right = np.array([52, 55, 60, 71, 80, 90, 93, 95])
    found = fit(X, right, rows, bounds=FORCED).at(X)
    moved = fit(X * scale + shift, right, rows, bounds=FORCED).at(X * scale + shift)
    np.testing.assert_allclose(found, moved, atol=2e-3)


def test_many_at_once_are_each_alone() -> None:
    rng = np.random.default_rng(3)
    rows = np.full((40, 8), 60)
    right = rng.binomial(60, shares(_curve(), X)[0], size=(40, 8))
    together = fit(X, right, rows, bounds=FORCED)
    for i in range(0, 40, 8):
        alone = fit(X, right[i], rows[i], bounds=FORCED)
        assert together.log_likelihood[i] == pytest.approx(alone.log_likelihood[0], abs=1e-4)


def test_crossing_arithmetic() -> None:
    # Rise to 0.75: (0.75 - 0.5) / 0.45 = 0.5556, its logit 0.22314, over slope 6: + 0.03719.
    level = crossings(_curve(), 0.75, **ENDS)[0]
    assert level == pytest.approx(np.log10(70) + 0.03719, abs=1e-5)
    assert shares(_curve(), np.array([level]))[0, 0] == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("curve", "target", "outcome"),
    [
        (_curve(), 0.75, Outcome.REACHED),
        (_curve(), 0.96, Outcome.NOT_REACHED),  # ends at 0.95
        (_curve(location=3.2), 0.75, Outcome.EXTRAPOLATED),  # 1.6 s, half a range is 7 s
        (_curve(location=4.5), 0.75, Outcome.NOT_REACHED),  # 30 s: too far to say
        (_curve(location=1.0), 0.75, Outcome.EXTRAPOLATED),  # 10 ms
        (_curve(location=-1.0), 0.75, Outcome.ALWAYS_ABOVE),
        (_curve(guess=0.8), 0.75, Outcome.ALWAYS_ABOVE),  # starts at 0.8
    ],
)
def test_outcomes(curve, target: float, outcome: Outcome) -> None:
    level = float(crossings(curve, target, **ENDS)[0])
    found = threshold_of(level, None, target=target, chance=None, reason="x", **ENDS)
    assert found.outcome is outcome
    # Never a clamped number: there is a value only where the curve has one.
    assert np.isfinite(found.value) == (outcome in (Outcome.REACHED, Outcome.EXTRAPOLATED))
    assert not np.isclose(found.value, X[[0, -1]]).any()


def test_chance_is_no_threshold() -> None:
    found = threshold_of(2.0, None, target=0.5, chance=0.5, **ENDS)
    assert (found.outcome, found.interval.reason) == (Outcome.UNDEFINED, "the target is chance")


def test_an_open_end_stays_open() -> None:
    # 4 % of the resamples never reach the target: the upper 2.5 % lies among them.
    drawn = np.concatenate([np.linspace(1.8, 2.2, 960), np.full(40, np.inf)])
    found = threshold_of(2.0, drawn, target=0.75, chance=0.5, **ENDS)
    assert found.interval.high == np.inf
    assert found.interval.low == pytest.approx(1.81, abs=0.01)
    assert found.interval.note == "not reached in 4.0 % of the resamples"
    assert found.share_reached == pytest.approx(0.96)


@pytest.mark.slow
def test_thresholds_are_recovered_and_covered() -> None:
    # 500 studies of 60 clips a class in groups of 3 that share a shift of the location: the
    # interval of the cluster bootstrap holds DT75 of the mean curve in 93 to 97 %.
    rng = np.random.default_rng(4)
    groups, per_group, repeats, resamples = 60, 3, 500, 400
    curve = _curve(lapse=0.04)
    truth, values, covered = _population_threshold(rng, curve), [], 0
    for _ in range(repeats):
        by_group = _simulated_groups(rng, curve, groups, per_group)
        rows = np.full((1, 8), groups * per_group)
        point = fit(X, by_group.sum(axis=0), rows, bounds=FORCED)
        weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples)
        drawn = fit(
            X,
            weights @ by_group,
            np.tile(rows, (resamples, 1)),
            bounds=FORCED,
            start=point.parameters[0],
        )
        levels = crossings(drawn.parameters, 0.75, **ENDS)
        low, high = np.quantile(levels, [0.025, 0.975], method="inverted_cdf")
        covered += low <= truth <= high
        values.append(crossings(point.parameters, 0.75, **ENDS)[0])
    assert np.median(values) == pytest.approx(truth, abs=0.01)
    assert within_simulation_error(covered, repeats, 0.93 if covered < 0.95 * repeats else 0.97)


def _simulated_groups(rng, curve, groups: int, per_group: int) -> np.ndarray:
    """Right answers of each group at each level, (groups, 8)."""
    shifted = np.repeat(curve, groups, axis=0)
    shifted[:, 0] += 0.1 * rng.standard_normal(groups)
    return rng.binomial(per_group, shares(shifted, X)).astype(float)


def _population_threshold(rng, curve) -> float:
    """DT75 of the curve that is fitted to endless data of such groups."""
    mean = _simulated_groups(rng, curve, 400_000, 100).mean(axis=0)[None] / 100
    rows = np.full((1, 8), 1e6)
    found: Fits = fit(X, mean * rows, rows, bounds=FORCED)
    return float(crossings(found.parameters, 0.75, **ENDS)[0])


@pytest.mark.parametrize(
    ("x", "right", "rows", "message"),
    [
        ([1, 2], [1, 1], [2, 2], "3 levels or more"),
        ([1, 3, 2], [1, 1, 1], [2, 2, 2], "rising order"),
        ([1, 2, 3], [1, 1, 3], [2, 2, 2], "from 0 to the rows"),
        ([1, 2, 3], [1, 1], [2, 2], "give"),
    ],
)
def test_refusals(x, right, rows, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(x, right, rows)
