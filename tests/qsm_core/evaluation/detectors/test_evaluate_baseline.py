import json

import numpy as np
import pytest

from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.detectors.evaluate_baseline import run
from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.models.baselines.names import DETECTORS
from tests.support.corpora import make_corpus
from tests.support.stages import stage_context

CONFIG = {
    "conditions": ["dur_40ms", "snr_0dB", "filter_lowpass"],
    "render": {"container_ms": 400.0},
    "bootstrap": {"num_resamples": 200},
}


def evaluate(folder, corpus, detector="energy", **changes):
    inputs = {"corpus": corpus, "dev": corpus}
    context = stage_context(folder, CONFIG | {"detector": detector} | changes, inputs)
    return context.out, run(context)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, test=8)
    return folder


@pytest.mark.parametrize("detector", DETECTORS)
def test_predictions_are_of_the_same_kind_as_those_of_a_model(tmp_path, corpus, detector):
    out, summary = evaluate(tmp_path, corpus, detector)
    table = read_predictions(out / "predictions.parquet")
    assert len(table) == 8 * 3
    assert set(table["system"]) == {detector}
    assert (table["prediction"] == np.where(table["margin"] > 0, "SPEECH", "NONSPEECH")).all()
    np.testing.assert_allclose(table["p_speech"], 1 / (1 + np.exp(-table["margin"])))
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["ba_clip"] == summary["ba_clip"] == compute_metrics(table).ba_clip
    timings = json.loads((out / "volatile" / "timings.json").read_text())
    assert timings["audio_s"] == pytest.approx((8 + 4) * 3 * 0.4)
    assert timings["real_time_factor"] > 0


def test_the_threshold_is_that_of_dev_and_no_test_clip_moves_it(tmp_path, corpus):
    out, summary = evaluate(tmp_path / "one", corpus)
    dev = read_predictions(out / "dev_predictions.parquet")
    assert compute_metrics(dev).ba_clip == pytest.approx(summary["dev_balanced_accuracy"])
    poisoned = tmp_path / "poisoned"
    make_corpus(poisoned, test=8, poison_test=True)
    other, described = evaluate(tmp_path / "two", poisoned)
    assert described["threshold"] == summary["threshold"]
    for name in ("decision.json", "dev_predictions.parquet"):
        assert (other / name).read_bytes() == (out / name).read_bytes()


def test_equal_runs_give_equal_files(tmp_path, corpus):
    one, _ = evaluate(tmp_path / "one", corpus, "silero")
    two, _ = evaluate(tmp_path / "two", corpus, "silero")
    for name in ("predictions.parquet", "metrics.json", "decision.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
