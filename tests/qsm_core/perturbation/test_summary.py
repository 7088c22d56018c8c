"""Tables are means over draws; where half of the tokens are lost is found between levels."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qsm_core.perturbation.records.rows import CellRow
from qsm_core.perturbation.records.tables import Rows
from qsm_core.perturbation.summary.curves import cell_table, curves, half_levels
from qsm_core.perturbation.summary.intervals import crossing, mean_over_draws

BASE = CellRow(
    cell="",
    method="mult_gauss",
    group="mlp",
    level=0.0,
    level_index=0,
    draw=0,
    num_weights=10,
    relative_norm=0.0,
    kl_mean=1.0,
    kl_median=1.0,
    kl_p99=1.0,
    same_top1=1.0,
    log_perplexity=3.0,
    log_perplexity_error=0.1,
    user_log_perplexity=None,
    seconds=1.0,
)


def table(shares, **changes):
    """Cells of one condition: by draw, the share of equal tokens at each level."""
    rows = Rows()
    for draw, by_level in enumerate(shares):
        for level, share in by_level.items():
            rows.add(
                replace(
                    BASE,
                    cell=f"{level}|{draw}",
                    level=level,
                    draw=draw,
                    same_top1=share,
                    relative_norm=2 * level,
                    **changes,
                )
            )
    return cell_table("run", rows)


def test_means_and_intervals_over_draws():
    values = [0.1, 0.3, 0.2, 0.6]
    mean, interval = mean_over_draws(values)
    assert mean == pytest.approx(0.3)
    expected = stats.t.interval(0.95, 3, loc=0.3, scale=stats.sem(values))
    assert (interval.low, interval.high) == pytest.approx(expected)
    mean, interval = mean_over_draws(values, logarithmic=True)
    assert mean == pytest.approx(float(stats.gmean(values)))
    assert interval.low > 0
    _, share = mean_over_draws([0.0, 0.9, 1.0], is_share=True)
    assert (share.low, share.high) == (0.0, 1.0)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5]])
def test_an_interval_that_is_not_known_is_refused(values):
    _, interval = mean_over_draws(values)
    assert not interval.known
    assert interval.reason


def test_a_zero_among_values_that_grow_by_factors():
    mean, _ = mean_over_draws([0.0, 1.0], logarithmic=True)
    assert mean == 0.5


def test_crossing():
    assert crossing([0, 1, 2], [1.0, 0.75, 0.25]) == pytest.approx(1.5)
    assert crossing([0, 1, 2], [1.0, 0.5, 0.2]) == 1.0
    assert crossing([0, 1, 2], [0.4, 0.3, 0.2]) == 0.0
    assert crossing([0, 1], [1.0, 0.51]) is None


def test_half_levels_are_found_draw_by_draw():
    cells = table([{1.0: 0.75, 2.0: 0.25}, {1.0: 0.4, 2.0: 0.1}])
    found = half_levels(cells, {"mult_gauss on mlp": [0.0, 1.0, 2.0]}, 0.95).iloc[0]
    first, second = 1.5, 0.5 / 0.6
    assert found["level"] == pytest.approx((first + second) / 2)
    assert found["relative_norm"] == pytest.approx(first + second)
    assert found["level_low"] < found["level"] < found["level_high"]
    assert (found["draws"], found["not_reached"]) == (2, 0)


def test_draws_that_do_not_reach_it_are_counted_and_take_the_interval():
    cells = table([{1.0: 0.75, 2.0: 0.25}, {1.0: 0.9, 2.0: 0.8}, {1.0: 0.2, 2.0: 0.1}])
    found = half_levels(cells, {"mult_gauss on mlp": [0.0, 1.0, 2.0]}, 0.95).iloc[0]
    assert (found["draws"], found["not_reached"]) == (3, 1)
    assert math.isnan(found["level_low"])


def test_fewer_values_are_more_harmful():
    cells = table([{64.0: 0.9, 8.0: 0.1}])
    found = half_levels(cells, {"mult_gauss on mlp": [0.0, 64.0, 8.0]}, 0.95).iloc[0]
    assert 8 < found["level"] < 64
    assert found["level"] == pytest.approx(64 - 56 * 0.5)


def test_a_lost_model_counts_as_lost():
    rows = Rows()
    rows.add(replace(BASE, cell="a", level=1.0))
    lost = dict.fromkeys(
        ("kl_mean", "kl_median", "kl_p99", "same_top1", "log_perplexity", "log_perplexity_error")
    )
    rows.add(replace(BASE, cell="b", level=1.0, draw=1, **lost))
    cells = cell_table("run", rows)
    assert list(cells["same_top1"]) == [1.0, 0.0]
    row = curves(cells, 0.95).iloc[0]
    assert (row["draws"], row["lost"]) == (2, 1)
    assert row["same_top1"] == 0.5
    assert row["kl_mean"] == 1.0


def test_curves_have_a_row_a_condition_and_level():
    cells = pd.concat(
        [table([{0.1: 0.9, 0.2: 0.8}, {0.1: 0.7, 0.2: 0.4}]), table([{0.1: 0.5}], group="norms")]
    )
    found = curves(cells, 0.95)
    assert list(zip(found["condition"], found["level"], strict=True)) == [
        ("mult_gauss on mlp", 0.1),
        ("mult_gauss on mlp", 0.2),
        ("mult_gauss on norms", 0.1),
    ]
    assert np.allclose(found["same_top1"], [0.8, 0.6, 0.5])
    assert found["perplexity"].iloc[0] == pytest.approx(math.exp(3.0))
