"""Shards: what several processes score adds up to the same bits as what one scores."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.evaluation.scoring import evaluate, score_shard
from tests.support.chirp_corpus import write_chirp_corpus
from tests.support.stages import stage_context

CONFIG = {
    "system": "small",
    "instruction": "Does this audio contain human speech? Answer SPEECH or NONSPEECH.",
    "conditions": ["dur_40ms", "snr_0dB", "filter_lowpass"],
    "render": {"container_ms": 1100.0},
    "block_clips": 1,
}
BOOTSTRAP = {"bootstrap": {"num_resamples": 200}}
OUTPUTS = ("predictions.parquet", "metrics.json")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_model_folder):
    corpus = write_chirp_corpus(tmp_path_factory.mktemp("corpus") / "corpus")
    return {"corpus": corpus, "model": small_model_folder}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, inputs):
    """The evaluation by one process."""
    return _evaluate(tmp_path_factory.mktemp("whole"), inputs)


@pytest.fixture(scope="module")
def halves(tmp_path_factory, inputs):
    """Two shards by two processes."""
    folder = tmp_path_factory.mktemp("halves")
    return [_score(folder / f"{number}", inputs, number, 2) for number in range(2)]


def _evaluate(folder, inputs, *scored, **changes):
    context = stage_context(
        folder, CONFIG | BOOTSTRAP | changes, inputs, runtime={"parts": [str(s) for s in scored]}
    )
    evaluate.run(context)
    return context.out


def _score(folder, inputs, shard, shards, *scored):
    config = CONFIG | {"shard": shard, "shards": shards}
    context = stage_context(folder, config, inputs, runtime={"parts": [str(s) for s in scored]})
    score_shard.run(context)
    return context.out


def _contents(out):
    return {name: (out / name).read_bytes() for name in OUTPUTS}


def _timings(out):
    return json.loads((out / "volatile" / "timings.json").read_text())


def test_shards_share_the_clips_out_evenly(whole, halves):
    parts = [read_predictions(half / "predictions.parquet") for half in halves]
    assert [part["clip_id"].nunique() for part in parts] == [3, 3]
    assert all(part.groupby("clip_id")["condition"].nunique().eq(3).all() for part in parts)
    together = pd.concat(parts).sort_values(["clip_id", "condition"], ignore_index=True)
    alone = read_predictions(whole / "predictions.parquet")
    pd.testing.assert_frame_equal(
        together, alone.sort_values(["clip_id", "condition"], ignore_index=True)
    )


def test_an_evaluation_of_shards_has_the_same_bits_and_needs_no_model(
    whole, halves, inputs, tmp_path
):
    no_model = inputs | {"model": tmp_path / "nowhere"}
    out = _evaluate(tmp_path / "run", no_model, *halves)
    assert _contents(out) == _contents(whole)
    assert _timings(out)["blocks_known"] == 6
    system = json.loads((out / "volatile" / "system.json").read_text())
    assert system["device"] == "cpu"


def test_what_no_shard_has_scored_is_scored(whole, halves, inputs, tmp_path):
    out = _evaluate(tmp_path / "run", inputs, halves[1])
    assert _contents(out) == _contents(whole)
    assert _timings(out)["blocks_known"] == 3
    with pytest.raises(ModelError):
        _evaluate(tmp_path / "bad", inputs | {"model": tmp_path / "nowhere"}, halves[1])


def test_another_number_of_shards_takes_what_is_known(whole, halves, inputs, tmp_path):
    no_model = inputs | {"model": tmp_path / "nowhere"}
    thirds = [_score(tmp_path / f"{n}", no_model, n, 3, *halves) for n in range(3)]
    assert _contents(_evaluate(tmp_path / "run", no_model, *thirds)) == _contents(whole)


def test_metrics_are_made_again_from_the_answers_of_an_earlier_evaluation(whole, inputs, tmp_path):
    no_model = inputs | {"model": tmp_path / "nowhere"}
    out = _evaluate(tmp_path / "run", no_model, whole, bootstrap={"num_resamples": 100})
    name = "predictions.parquet"
    assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_answers_to_another_instruction_are_not_taken(halves, inputs, tmp_path):
    changes = {"instruction": "Is there a voice? Answer SPEECH or NONSPEECH."}
    out = _evaluate(tmp_path / "run", inputs, *halves, **changes)
    assert _timings(out)["blocks_known"] == 0


@pytest.mark.parametrize(("shard", "shards"), [(6, 7), (2, 2)])
def test_a_shard_without_clips_is_refused(inputs, tmp_path, shard, shards):
    with pytest.raises(ConfigurationError, match=f"shard {shard} of {shards}: the clips make 6"):
        _score(tmp_path, inputs, shard, shards)
