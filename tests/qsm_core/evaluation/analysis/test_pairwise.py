"""Paired comparisons: values, intervals, p-values, pairing and refusals."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.alignment import Rows, check_same_rows
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.analysis.pairwise import compare, pairs_to_compare
from qsm_core.evaluation.analysis.replicates import assemble, rate_statistics
from qsm_core.evaluation.analysis.settings import AnalysisSettings, Pair
from qsm_core.statistics.mcnemar import mcnemar_exact
from tests.support.predictions import (
    Listener,
    answered_again,
    make_predictions,
    one_clip_per_group,
)

QUICK = BootstrapSettings(num_resamples=2000, seed=1)


def _compare(
    tables: Mapping[str, pd.DataFrame],
    pairs: Sequence[tuple[str, str]],
    settings: BootstrapSettings = QUICK,
) -> pd.DataFrame:
    """Return the rows of the table `comparisons`, as an analysis computes them."""
    check_same_rows(tables)
    ensemble = assemble(tables, settings)
    statistics = {name: rate_statistics(ensemble, name) for name in tables}
    levels = [np.nan] * len(ensemble.first.conditions)
    overall, _ = compare(
        ensemble,
        statistics,
        Rows.of(tables, ensemble),
        [Pair(*pair) for pair in pairs],
        AnalysisSettings(bootstrap=settings),
        levels,
    )
    return pd.DataFrame(overall)


def _only(made: pd.DataFrame, metric: str = "ba_clip") -> pd.Series:
    """Return the row of a metric of the only pair."""
    (row,) = made[made["metric"] == metric].to_dict("records")
    return pd.Series(row)


def test_difference_is_the_difference_of_the_metrics() -> None:
    tables = {
        name: make_predictions(Listener(name, skill=s)) for name, s in (("a", 0.5), ("b", 1.2))
    }
    made = _compare(tables, [("a", "b")])
    first, second = compute_metrics(tables["a"]), compute_metrics(tables["b"])
    by_clip, by_condition = _only(made), _only(made, "ba_conditions")
    assert by_clip["value"] == pytest.approx(second.ba_clip - first.ba_clip)
    assert by_condition["value"] == pytest.approx(second.ba_conditions - first.ba_conditions)
    assert by_clip["low"] < by_clip["value"] < by_clip["high"]
    assert by_clip["p_value"] < 0.01


def test_discordant_rows_are_those_of_mcnemar() -> None:
    tables = {
        name: one_clip_per_group(Listener(name, skill=s), num_clips=60)
        for name, s in (("a", 0.3), ("b", 0.9))
    }
    one = _only(_compare(tables, [("a", "b")]))
    right = [t["prediction"] == t["label"] for t in tables.values()]
    expected = mcnemar_exact(*right)
    assert (one["only_first"], one["only_second"]) == (expected.only_first, expected.only_second)
    # With balanced classes and independent clips the two tests ask nearly the same question.
    assert one["p_value"] == pytest.approx(expected.p_value, abs=0.03)


def test_pairs_are_matched_by_clip_and_condition_not_by_row() -> None:
    tables = {name: make_predictions(Listener(name)) for name in ("a", "b")}
    shuffled = {"a": tables["a"], "b": tables["b"].sample(frac=1, random_state=5)}
    pd.testing.assert_frame_equal(
        _compare(shuffled, [("a", "b")]), _compare(tables, [("a", "b")]), check_exact=True
    )


def test_pairing_narrows_the_interval() -> None:
    # The groups' abilities are shared and large: a paired difference does not see them.
    tables = {
        name: make_predictions(Listener(name, group_sd=1.5), groups_per_class=20)
        for name in ("a", "b")
    }
    paired = _only(_compare(tables, [("a", "b")]))
    alone = {"a": tables["a"], "c": _never_right(tables["a"])}
    single = _only(_compare(alone, [("c", "a")]))
    assert paired["high"] - paired["low"] < 0.6 * (single["high"] - single["low"])


def _never_right(table):
    wrong = table["label"].map({"SPEECH": "NONSPEECH", "NONSPEECH": "SPEECH"})
    return table.assign(prediction=wrong)


def test_a_system_against_itself() -> None:
    table = make_predictions(Listener("a"))
    one = _only(_compare({"a": table, "b": table.assign(system="b")}, [("a", "b")]))
    assert (one["value"], one["p_value"]) == (0.0, 1.0)
    assert one["reason"] == "the two systems gave the same answers"


def test_p_values_are_corrected_together() -> None:
    tables = {
        n: make_predictions(Listener(n, skill=s)) for n, s in (("a", 0.9), ("b", 1.0), ("c", 1.05))
    }
    made = _compare(tables, [("a", "b"), ("a", "c"), ("b", "c")])
    made = made[made["metric"] == "ba_clip"]
    raw, corrected = made["p_value"].to_numpy(), made["p_holm"].to_numpy()
    assert corrected.min() == pytest.approx(min(1, 3 * raw.min()))
    assert np.all(corrected >= raw)


def test_unpaired_rows_are_refused() -> None:
    tables = {name: make_predictions(Listener(name)) for name in ("a", "b")}
    tables["b"] = tables["b"].iloc[5:]
    with pytest.raises(DataError, match="system 'b' lacks 5 rows of system 'a'"):
        _compare(tables, [("a", "b")])


def test_one_group_gives_no_interval_and_no_p() -> None:
    tables = {name: make_predictions(Listener(name), groups_per_class=1) for name in ("a", "b")}
    one = _only(_compare(tables, [("a", "b")]))
    assert "comes from 1 group" in str(one["reason"])
    assert np.isnan(one["p_value"])
    assert np.isnan(one["p_holm"])


def test_nothing_to_compare() -> None:
    assert pairs_to_compare(["base"], ()) == ()
    assert _compare({"base": make_predictions(Listener("base"))}, []).empty


@pytest.mark.slow
def test_interval_covers_and_test_keeps_its_size() -> None:
    # Two listeners of equal skill on the same clips: the true difference is 0.
    covered, rejected, repeats = 0, 0, 200
    settings = BootstrapSettings(num_resamples=400)
    grid = (("dur_500ms", "duration", 500.0), ("snr_0dB", "snr", 0.0))
    listeners = [Listener(name) for name in ("a", "b")]
    clips = {one.system: make_predictions(one, groups_per_class=15, grid=grid) for one in listeners}
    for seed in range(repeats):
        tables = {
            one.system: answered_again(clips[one.system], one, seed=seed) for one in listeners
        }
        one = _only(_compare(tables, [("a", "b")], settings))
        covered += one["low"] <= 0 <= one["high"]
        rejected += one["p_value"] <= 0.05
    assert covered / repeats >= 0.90
    assert rejected / repeats <= 0.09


def test_the_same_answers_under_other_names_have_the_same_p() -> None:
    tables = {
        name: make_predictions(Listener(name, skill=s), groups_per_class=20)
        for name, s in (("a", 0.9), ("b", 1.0))
    }
    tables["c"] = tables["b"].assign(system="c")
    made = _compare(tables, [("a", "b"), ("a", "c"), ("b", "a")])
    for metric in ("ba_clip", "ba_conditions"):
        first, again, back = made.loc[made["metric"] == metric, "p_value"]
        assert 0.001 < first < 1  # drawn, and not at either end
        assert first == again == back
    alone = _compare({name: tables[name] for name in ("c", "a")}, [("c", "a")])
    assert _only(alone)["p_value"] == _only(made[made["second"] == "b"])["p_value"]


def test_a_difference_that_few_groups_carry_has_few_degrees_of_freedom() -> None:
    tables = {"a": make_predictions(Listener("a", skill=1.0), groups_per_class=20)}
    one = tables["a"].assign(system="b")
    groups = sorted(set(one["group_id"]))
    here = one["group_id"].isin([groups[0], groups[1], groups[-1]])
    tables["b"] = one.assign(prediction=one["prediction"].where(~here, one["label"]))
    found = _only(_compare(tables, [("a", "b")]))
    assert found["degrees"] < 3  # of 38 by all groups
    assert found["high"] - found["value"] > 2 * found["standard_error"]


def test_like_systems_of_several_runs_are_paired() -> None:
    names = ["a.base", "a.lora", "b.base", "b.lora", "c.lora", "c.silero"]
    pairs = pairs_to_compare(names, ())
    like = {(pair.first, pair.second) for pair in pairs if pair.family.startswith("same system")}
    assert like == {("a.base", "b.base"), ("a.lora", "b.lora"), ("a.lora", "c.lora")}
    systems = {(pair.first, pair.second) for pair in pairs if pair.family == "systems"}
    assert systems == {("a.base", "a.lora"), ("a.base", "b.lora"), ("a.base", "c.lora")}
    of_one_run = pairs_to_compare(["base", "lora"], ())
    assert [pair.family for pair in of_one_run] == ["systems"]
