"""Holm's correction against its arithmetic, its definition and statsmodels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from qsm_core.statistics.multiplicity import holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_arithmetic() -> None:
    # Sorted: 0.01, 0.02, 0.03, 0.20 with factors 4, 3, 2, 1: 0.04, 0.06, 0.06, 0.20;
    # the third stays at 0.06 because an adjusted p-value never falls below the one before it.
    adjusted = holm([0.20, 0.01, 0.03, 0.02])
    assert adjusted == pytest.approx([0.20, 0.04, 0.06, 0.06])


@settings(max_examples=15, deadline=None)  # statsmodels takes half a second a call
@given(P_VALUES)
def test_equals_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected, abs=1e-15)


@given(P_VALUES, st.floats(0.001, 0.2))
def test_rejects_what_the_step_down_rule_rejects(p_values: list[float], alpha: float) -> None:
    # Naive definition: walk up the sorted p-values and stop at the first that is too large.
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] * (len(p_values) - step) > alpha:
            break
        rejected.add(index)
    assert set(np.flatnonzero(holm(p_values) <= alpha)) == rejected


def test_tests_that_were_not_made_do_not_count() -> None:
    adjusted = holm([0.01, np.nan, 0.04])
    assert adjusted[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(adjusted[1])


def test_nothing_to_correct() -> None:
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("p_values", [[1.2], [-0.1, 0.5]])
def test_no_probability(p_values: list[float]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm(p_values)


def test_more_than_one_dimension() -> None:
    with pytest.raises(ValueError, match="one dimension"):
        holm([[0.1], [0.2]])
