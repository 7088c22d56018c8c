"""Paired comparisons: values, intervals, p-values, pairing and refusals."""

import numpy as np
import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.comparison import compare
from qsm_core.evaluation.metrics import compute_metrics
from qsm_core.evaluation.settings import BootstrapSettings
from qsm_core.statistics.mcnemar import mcnemar_exact
from tests.support.predictions import Listener, make_predictions, one_clip_per_group

QUICK = BootstrapSettings(num_resamples=2000, seed=1)


def test_difference_is_the_difference_of_the_metrics() -> None:
    tables = {
        name: make_predictions(Listener(name, skill=s)) for name, s in (("a", 0.5), ("b", 1.2))
    }
    (one,) = compare(tables, [("a", "b")], settings=QUICK)
    first, second = compute_metrics(tables["a"]), compute_metrics(tables["b"])
    assert one.ba_clip.value == pytest.approx(second.ba_clip - first.ba_clip)
    assert one.ba_conditions.value == pytest.approx(second.ba_conditions - first.ba_conditions)
    assert one.ba_clip.interval.low < one.ba_clip.value < one.ba_clip.interval.high
    assert one.ba_clip.p_value < 0.01


def test_discordant_rows_are_those_of_mcnemar() -> None:
    tables = {
        name: one_clip_per_group(Listener(name, skill=s), num_clips=60)
        for name, s in (("a", 0.3), ("b", 0.9))
    }
    (one,) = compare(tables, [("a", "b")], settings=QUICK)
    right = [t["prediction"] == t["label"] for t in tables.values()]
    expected = mcnemar_exact(*right)
    assert (one.only_first, one.only_second) == (expected.only_first, expected.only_second)
    # With balanced classes and independent clips the two tests ask nearly the same question.
    assert one.ba_clip.p_value == pytest.approx(expected.p_value, abs=0.03)


def test_pairs_are_matched_by_clip_and_condition_not_by_row() -> None:
    tables = {name: make_predictions(Listener(name)) for name in ("a", "b")}
    shuffled = {"a": tables["a"], "b": tables["b"].sample(frac=1, random_state=5)}
    assert compare(shuffled, [("a", "b")], settings=QUICK) == compare(
        tables, [("a", "b")], settings=QUICK
    )


def test_pairing_narrows_the_interval() -> None:
    # The groups' abilities are shared and large: a paired difference does not see them.
    tables = {
        name: make_predictions(Listener(name, group_sd=1.5), groups_per_class=20)
        for name in ("a", "b")
    }
    (one,) = compare(tables, [("a", "b")], settings=QUICK)
    paired = one.ba_clip.interval
    single = compare(
        {"a": tables["a"], "c": _never_right(tables["a"])}, [("c", "a")], settings=QUICK
    )[0].ba_clip.interval
    assert paired.high - paired.low < 0.6 * (single.high - single.low)


def _never_right(table):
    wrong = table["label"].map({"SPEECH": "NONSPEECH", "NONSPEECH": "SPEECH"})
    return table.assign(prediction=wrong)


def test_a_system_against_itself() -> None:
    table = make_predictions(Listener("a"))
    (one,) = compare({"a": table, "b": table.assign(system="b")}, [("a", "b")], settings=QUICK)
    assert (one.ba_clip.value, one.ba_clip.p_value) == (0.0, 1.0)
    assert "every resample gives 0" in str(one.ba_clip.interval.reason)


def test_p_values_are_corrected_together() -> None:
    tables = {
        n: make_predictions(Listener(n, skill=s)) for n, s in (("a", 0.9), ("b", 1.0), ("c", 1.05))
    }
    made = compare(tables, [("a", "b"), ("a", "c"), ("b", "c")], settings=QUICK)
    raw = np.array([one.ba_clip.p_value for one in made])
    corrected = np.array([one.ba_clip.p_holm for one in made])
    assert corrected.min() == pytest.approx(min(1, 3 * raw.min()))
    assert np.all(corrected >= raw)


def test_unpaired_rows_are_refused() -> None:
    tables = {name: make_predictions(Listener(name)) for name in ("a", "b")}
    tables["b"] = tables["b"].iloc[5:]
    with pytest.raises(DataError, match="system 'b' lacks 5 rows of system 'a'"):
        compare(tables, [("a", "b")], settings=QUICK)


def test_one_group_gives_no_interval_and_no_p() -> None:
    tables = {name: make_predictions(Listener(name), groups_per_class=1) for name in ("a", "b")}
    (one,) = compare(tables, [("a", "b")], settings=QUICK)
    assert "comes from 1 group" in str(one.ba_clip.interval.reason)
    assert np.isnan(one.ba_clip.p_value)
    assert np.isnan(one.ba_clip.p_holm)


def test_nothing_to_compare() -> None:
    assert compare({}, []) == []


@pytest.mark.slow
def test_interval_covers_and_test_keeps_its_size() -> None:
    # Two listeners of equal skill on the same clips: the true difference is 0.
    covered, rejected, repeats = 0, 0, 200
    settings = BootstrapSettings(num_resamples=400)
    grid = (("dur_500ms", "duration", 500.0), ("snr_0dB", "snr", 0.0))
    for seed in range(repeats):
        tables = {
            name: make_predictions(Listener(name), groups_per_class=15, grid=grid, seed=seed)
            for name in ("a", "b")
        }
        (one,) = compare(tables, [("a", "b")], settings=settings)
        interval = one.ba_clip.interval
        covered += interval.low <= 0 <= interval.high
        rejected += one.ba_clip.p_value <= 0.05
    assert covered / repeats >= 0.90
    assert rejected / repeats <= 0.09
