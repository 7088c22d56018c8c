"""d' and criterion: by hand, symmetry, and what a shift of the threshold does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from qsm_core.statistics.signal_detection import detection


def test_arithmetic() -> None:
    # H = (80 + 0.5) / 101 = 0.79703, z = 0.83106; false alarms 30 of 100:
    # F = 30.5 / 101 = 0.30198, z = -0.51871. d' = 1.34977, c = -(0.83106 - 0.51871) / 2 = -0.15618.
    found = detection(80, 100, 70, 100)
    assert found.d_prime == pytest.approx(1.34977, abs=1e-5)
    assert found.criterion == pytest.approx(-0.15618, abs=1e-5)


def test_published_textbook_case() -> None:
    # Macmillan and Creelman, "Detection Theory", chapter 1: 20 of 25 hits and 10 of 25 false
    # alarms have d' = 0.842 + 0.253 = 1.095 without correction; with many rows it is the same.
    found = detection(20e6, 25e6, 15e6, 25e6)
    assert found.d_prime == pytest.approx(norm.ppf(0.8) - norm.ppf(0.4), abs=1e-5)
    assert found.d_prime == pytest.approx(1.095, abs=5e-4)


def test_perfect_answers_stay_finite() -> None:
    # H = 10.5 / 11, F = 0.5 / 11: d' = 2 z(0.95455) = 2 * 1.69062 (Hautus 1995).
    found = detection(10, 10, 10, 10)
    assert found.d_prime == pytest.approx(2 * norm.ppf(10.5 / 11))
    assert found.criterion == pytest.approx(0)


@given(st.integers(0, 50), st.integers(0, 50))
def test_swapping_the_classes_turns_the_criterion(hits: int, rejections: int) -> None:
    one, other = detection(hits, 50, rejections, 50), detection(rejections, 50, hits, 50)
    assert one.d_prime == pytest.approx(other.d_prime)
    assert one.criterion == pytest.approx(-other.criterion)


def test_moving_the_threshold_moves_the_criterion_alone() -> None:
    # Equal-variance listeners with d' = 1.5: whatever the threshold, the same sensitivity.
    n = 10**7
    for c in (-0.8, 0.0, 0.5):
        hits, rejections = n * norm.cdf(0.75 - c), n * norm.cdf(0.75 + c)
        found = detection(hits, n, rejections, n)
        assert found.d_prime == pytest.approx(1.5, abs=1e-5)
        assert found.criterion == pytest.approx(c, abs=1e-5)


def test_shapes_and_empty_classes() -> None:
    found = detection(np.ones((3, 2)), np.full((3, 2), 4), [1, 0], [2, 0])
    assert found.d_prime.shape == (3, 2)
    assert np.isnan(found.d_prime[:, 1]).all()
    with pytest.raises(ValueError, match="from 0 to the rows"):
        detection(5, 4, 1, 2)
