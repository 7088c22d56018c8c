"""Metrics against hand arithmetic, the naive definition and scikit-learn."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.metrics import compute_metrics, write_metrics
from tests.support.predictions import GRID, Listener, make_predictions


def _small(rows: list[tuple[str, str, str, str | None]]) -> pd.DataFrame:
    """Make a table from (label, condition, dimension, prediction)."""
    frame = pd.DataFrame(rows, columns=["label", "condition", "dimension", "prediction"])
    names = [f"clip{i}" for i in range(len(rows))]
    text = {"system": "s", "instruction_digest": "d", "clip_id": names, "group_id": names}
    empty = dict.fromkeys(("duration_ms", "snr_db", "t60_s", "p_speech", "margin"), np.nan)
    return frame.assign(**text, **empty, band=None, raw_text=None, parse_level=None)


S, N = "SPEECH", "NONSPEECH"


def test_arithmetic_by_hand() -> None:
    table = _small(
        [
            (S, "dur_20ms", "duration", N),
            (S, "dur_20ms", "duration", S),
            (N, "dur_20ms", "duration", N),
            (S, "dur_40ms", "duration", S),
            (N, "dur_40ms", "duration", None),
            (N, "dur_40ms", "duration", N),
            (S, "snr_0dB", "snr", S),
            (N, "snr_0dB", "snr", S),
            (N, "snr_0dB", "snr", S),
            (N, "snr_0dB", "snr", N),
        ]
    )
    metrics = compute_metrics(table, instruction="Speech?")
    # Speech: 3 of 4 right; non-speech: 3 of 6 right, the unreadable answer being an error.
    assert metrics.speech_acc == 3 / 4
    assert metrics.nonspeech_acc == 3 / 6
    assert metrics.ba_clip == (3 / 4 + 3 / 6) / 2
    # dur_20ms: (1/2 + 1/1) / 2 = 0.75; dur_40ms: (1/1 + 1/2) / 2 = 0.75; duration: 0.75.
    # snr_0dB: (1/1 + 1/3) / 2 = 2/3. Mean of the dimensions: (0.75 + 2/3) / 2.
    assert metrics.condition_metrics["dur_20ms"].ba == 0.75
    assert metrics.dimension_metrics["duration"].ba == 0.75
    assert metrics.dimension_metrics["duration"].conditions == ("dur_20ms", "dur_40ms")
    assert metrics.ba_conditions == pytest.approx((0.75 + 2 / 3) / 2)
    assert metrics.unparseable_rate == 0.1
    assert metrics.condition_metrics["dur_40ms"].unparseable_rate == pytest.approx(1 / 3)
    assert (metrics.n_samples, metrics.n_speech, metrics.n_nonspeech) == (10, 4, 6)


def _naive_ba(table: pd.DataFrame) -> float:
    right = table["prediction"] == table["label"]
    return float((right[table["label"] == S].mean() + right[table["label"] == N].mean()) / 2)


def test_equals_the_definition_by_condition_and_dimension() -> None:
    table = make_predictions(Listener("base", unparseable=0.05), seed=5)
    metrics = compute_metrics(table)
    by_condition = {key: _naive_ba(rows) for key, rows in table.groupby("condition")}
    for key, one in metrics.condition_metrics.items():
        assert one.ba == pytest.approx(by_condition[key])
    dimensions = []
    for dimension in ("duration", "snr", "reverb", "filter"):
        keys = [key for key, of, _ in GRID if of == dimension]
        dimensions.append(np.mean([by_condition[key] for key in keys]))
        assert metrics.dimension_metrics[dimension].n_conditions == len(keys)
    assert metrics.ba_conditions == pytest.approx(np.mean(dimensions))
    # Not the mean over the 22 conditions: dimensions count alike, whatever their size.
    assert metrics.ba_conditions != pytest.approx(np.mean(list(by_condition.values())), abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), bias=st.floats(-2, 2))
def test_equals_scikit_learn(seed: int, bias: float) -> None:
    table = make_predictions(
        Listener("base", bias=bias), groups_per_class=2, clips_per_group=2, seed=seed
    )
    metrics = compute_metrics(table)
    expected = balanced_accuracy_score(table["label"], table["prediction"])
    assert metrics.ba_clip == pytest.approx(expected)
    assert metrics.auroc == pytest.approx(roc_auc_score(table["label"] == S, table["margin"]))


def test_recalls_approach_the_known_truth() -> None:
    listener = Listener("base", skill=0.8, bias=0.3, group_sd=0.0, unparseable=0.1)
    grid = (("dur_1000ms", "duration", 1000.0),)
    table = make_predictions(listener, groups_per_class=4000, clips_per_group=1, grid=grid)
    metrics = compute_metrics(table)
    speech, nonspeech = listener.true_recall(0.0)
    assert metrics.speech_acc == pytest.approx(speech, abs=0.02)
    assert metrics.nonspeech_acc == pytest.approx(nonspeech, abs=0.02)


def test_row_order_does_not_matter() -> None:
    table = make_predictions(Listener("base"), seed=2)
    shuffled = table.sample(frac=1, random_state=3)
    assert compute_metrics(shuffled).to_json() == compute_metrics(table).to_json()


def test_conditions_come_in_the_order_of_the_grid() -> None:
    table = make_predictions(Listener("base")).sample(frac=1, random_state=4)
    assert list(compute_metrics(table).condition_metrics) == [key for key, _, _ in GRID]


def test_empty_class_is_not_zero() -> None:
    table = make_predictions(Listener("base"))
    metrics = compute_metrics(table[table["label"] == S])
    assert math.isnan(metrics.nonspeech_acc)
    assert math.isnan(metrics.ba_clip)
    assert metrics.reasons["ba_clip"] == "no nonspeech clip in the table"
    assert metrics.reasons["auroc"] == "only one class is present"
    assert metrics.to_json()["ba_clip"] is None
    assert not math.isnan(metrics.speech_acc)


def test_class_missing_from_one_condition() -> None:
    table = make_predictions(Listener("base"))
    table = table[(table["condition"] != "snr_0dB") | (table["label"] == S)]
    metrics = compute_metrics(table)
    assert math.isnan(metrics.condition_metrics["snr_0dB"].ba)
    assert math.isnan(metrics.ba_conditions)
    assert metrics.reasons["ba_conditions"] == "snr_0dB has no nonspeech clip"
    assert not math.isnan(metrics.ba_clip)


def test_clips_as_they_are_have_no_dimension() -> None:
    table = make_predictions(Listener("base"), grid=(("clean", None, None),))
    metrics = compute_metrics(table)
    assert metrics.dimension_metrics == {}
    assert metrics.reasons["ba_conditions"] == "no row belongs to a dimension of the condition grid"
    assert not math.isnan(metrics.ba_clip)


def test_scores_that_are_missing() -> None:
    none = compute_metrics(make_predictions(Listener("base", has_scores=False)))
    assert math.isnan(none.auroc)
    assert none.reasons["auroc"] == "the system gives no score"
    table = make_predictions(Listener("base"))
    table.loc[:3, ["margin", "p_speech"]] = np.nan
    assert "(4 have none)" in compute_metrics(table).reasons["auroc"]


def test_probabilities_serve_where_margins_are_missing() -> None:
    table = make_predictions(Listener("base"))
    expected = compute_metrics(table).auroc
    assert compute_metrics(table.assign(margin=np.nan)).auroc == pytest.approx(expected)


def test_two_systems_in_one_table() -> None:
    tables = [make_predictions(Listener(name)) for name in ("base", "lora")]
    with pytest.raises(DataError, match=r"the table has 2") as caught:
        compute_metrics(pd.concat(tables))
    assert "system 'lora'" in str(caught.value)


def test_metrics_json(tmp_path: Path) -> None:
    metrics = compute_metrics(make_predictions(Listener("base")), instruction="Sprache?")
    write_metrics(tmp_path / "metrics.json", metrics)
    values = json.loads((tmp_path / "metrics.json").read_text())
    assert values["instruction"] == "Sprache?"
    assert values["system"] == "base"
    assert values["dimension_metrics"]["snr"]["n_conditions"] == 6
    assert values["condition_metrics"]["dur_20ms"]["n_speech"] == 36
