"""Intervals of the metrics: width, pairing, determinism, and when they are refused."""

import numpy as np
import pandas as pd
import pytest

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.counts import count_by_group
from qsm_core.evaluation.analysis.intervals import metrics_with_intervals
from qsm_core.evaluation.analysis.replicates import assemble, rate_statistics
from qsm_core.statistics.proportions import wilson_interval
from tests.support.predictions import Listener, make_predictions, one_clip_per_group

QUICK = BootstrapSettings(num_resamples=1000, seed=1)


def test_every_rate_has_an_interval_around_it() -> None:
    metrics = metrics_with_intervals(make_predictions(Listener("base")), settings=QUICK)
    names = ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc", "auroc")
    assert set(metrics.intervals) >= set(names)
    assert len(metrics.intervals) == 5 + 4 + 22
    for name in names:
        interval = metrics.intervals[name]
        assert interval.low < getattr(metrics, name) < interval.high
    snr = metrics.intervals["condition_metrics.snr_0dB.ba"]
    assert snr.low <= metrics.condition_metrics["snr_0dB"].ba <= snr.high


def test_equal_seeds_give_equal_intervals_whatever_the_row_order() -> None:
    table = make_predictions(Listener("base"))
    shuffled = table.sample(frac=1, random_state=2)
    first = metrics_with_intervals(table, settings=QUICK).to_json()
    assert metrics_with_intervals(shuffled, settings=QUICK).to_json() == first
    other = metrics_with_intervals(table, settings=BootstrapSettings(1000, seed=2)).to_json()
    assert other["intervals"] != first["intervals"]


def test_independent_clips_agree_with_wilson() -> None:
    table = one_clip_per_group(Listener("base", skill=0.8), num_clips=400)
    metrics = metrics_with_intervals(table, settings=BootstrapSettings(4000))
    wilson = wilson_interval(round(400 * metrics.speech_acc), 400)
    interval = metrics.intervals["speech_acc"]
    assert interval.low == pytest.approx(wilson.low, abs=0.01)
    assert interval.high == pytest.approx(wilson.high, abs=0.01)


def test_groups_that_agree_within_widen_the_interval() -> None:
    table = make_predictions(Listener("base", group_sd=2.0), groups_per_class=20)
    rows_as_groups = table.assign(group_id=table["clip_id"] + table["condition"])
    wide, narrow = (
        metrics_with_intervals(t, settings=QUICK).intervals["ba_clip"]
        for t in (table, rows_as_groups)
    )
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_one_group_in_a_class_is_refused() -> None:
    table = make_predictions(Listener("base"), groups_per_class=6)
    table.loc[table["label"] == "SPEECH", "group_id"] = "the only speaker"
    metrics = metrics_with_intervals(table, settings=QUICK)
    interval = metrics.intervals["ba_clip"]
    assert not interval.known
    assert interval.reason == "SPEECH comes from 1 group; an interval needs at least 2 groups"
    assert metrics.to_json()["intervals"]["ba_clip"]["low"] is None


def test_few_groups_are_noted() -> None:
    metrics = metrics_with_intervals(
        make_predictions(Listener("base"), groups_per_class=3), settings=QUICK
    )
    assert "few groups (SPEECH: 3, NONSPEECH: 3)" in str(metrics.intervals["ba_clip"].note)


def test_missing_class_has_its_reason() -> None:
    table = make_predictions(Listener("base"))
    metrics = metrics_with_intervals(table[table["label"] == "SPEECH"], settings=QUICK)
    assert metrics.intervals["ba_clip"].reason == "no nonspeech clip in the table"
    assert metrics.intervals["speech_acc"].known


def test_recall_without_an_error_falls_back_to_groups_as_trials() -> None:
    table = make_predictions(Listener("base", skill=50), groups_per_class=8)
    metrics = metrics_with_intervals(table, settings=QUICK)
    interval = metrics.intervals["speech_acc"]
    assert (interval.low, interval.high) == (wilson_interval(8, 8).low, 1.0)
    assert interval.method == "Wilson score, a group as one trial"
    assert "every resample gives 1" in str(metrics.intervals["ba_clip"].reason)


def test_group_with_both_classes_is_a_stratum_of_its_own() -> None:
    table = make_predictions(Listener("base"), groups_per_class=6)
    table["group_id"] = table["group_id"].str.replace(r"^(non)?speech_00[01]$", "both", regex=True)
    lone = metrics_with_intervals(table, settings=QUICK).intervals["ba_clip"]
    assert "groups with both classes comes from 1 group" in str(lone.reason)
    table = make_predictions(Listener("base"), groups_per_class=6)
    pattern = r"^(?:non)?speech_(00[01])$"
    table["group_id"] = table["group_id"].str.replace(pattern, r"both_\1", regex=True)
    assert count_by_group(table).groups_by_stratum() == {
        "SPEECH": 4,
        "NONSPEECH": 4,
        "groups with both classes": 2,
    }
    assert metrics_with_intervals(table, settings=QUICK).intervals["ba_clip"].known


def test_systems_share_their_resamples() -> None:
    table = make_predictions(Listener("base"))
    both, alone = assemble({"a": table, "b": table}, QUICK), assemble({"a": table}, QUICK)
    first, second, single = (
        rate_statistics(ensemble, name)["ba_clip"].resampled
        for ensemble, name in ((both, "a"), (both, "b"), (alone, "a"))
    )
    assert first is not None
    assert np.array_equal(first, second)
    assert np.array_equal(single, first)


def test_systems_on_different_rows() -> None:
    first = make_predictions(Listener("base"))
    second = make_predictions(Listener("lora")).iloc[1:]
    with pytest.raises(DataError, match="'lora' and system 'base' were evaluated on different"):
        assemble({"base": first, "lora": second}, QUICK)


def test_counts_add_up() -> None:
    table = make_predictions(Listener("base", unparseable=0.2))
    counts = count_by_group(table)
    assert counts.total.sum() == len(table)
    right = int((table["prediction"] == table["label"]).sum())
    assert counts.correct.sum() == right
    one = pd.Series(counts.total[0].sum(axis=1), counts.conditions)
    assert (one == 3).all()
