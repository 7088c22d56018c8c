"""Which answers an evaluation finds in the store, and into how many shards it is cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qsm_core.stage.launch import Launched
from qsm_core.stage.making import make_output
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tasks.definitions import EVALUATE, EVALUATE_FURTHER, SCORE_FURTHER_SHARD, SCORE_SHARD
from tasks.run.spreading import EvaluationShards
from tests.support.corpora import make_corpus

CONFIG = {"system": "base", "instruction": "Speech?", "conditions": ["snr_0dB", "dur_100ms"]}
METRICS = "qsm_core.evaluation.analysis.metrics"
SCORING = "qsm_core.inference.scoring"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def inputs(store, tmp_path):
    make_corpus(tmp_path / "corpus", test=40)
    return {"corpus": store.digest(tmp_path / "corpus")}


@pytest.fixture
def spec(inputs):
    return build_spec(EVALUATE, CONFIG, inputs)


def _finish(store, spec, inputs):
    """Put an output of a spec into the store, made by nobody."""

    def launch(_spec, context, _inputs):
        (context.out / "predictions.parquet").write_text("rows")
        return Launched(summary={}, usage={})

    return make_output(store, spec, inputs, launch=launch).path


def test_as_many_shards_as_wanted_but_no_more_than_blocks(inputs):
    configs = EvaluationShards(2).configs(CONFIG, inputs)
    assert [(one["shard"], one["shards"]) for one in configs] == [(0, 2), (1, 2)]
    assert len(EvaluationShards(99).configs(CONFIG, inputs)) == 3  # 40 clips in blocks of 16
    assert EvaluationShards(1).configs(CONFIG, inputs) == []


def test_shards_of_any_number_are_known(store, spec, inputs):
    assert EvaluationShards(2).known(store, spec, inputs).folders == ()
    config = {**CONFIG, "shard": 1, "shards": 3}
    made = _finish(store, build_spec(SCORE_SHARD, config, inputs), inputs)
    known = EvaluationShards(2).known(store, spec, inputs)
    assert known.folders == (made,)
    assert not known.complete


def test_an_evaluation_with_other_code_of_the_metrics_is_known(store, spec, inputs):
    assert METRICS in spec.code
    before = replace(spec, code={**spec.code, METRICS: "another"})
    made = _finish(store, before, inputs)
    assert before.key != spec.key
    assert EvaluationShards().known(store, spec, inputs).folders == (made,)
    assert EvaluationShards().known(store, spec, inputs).complete


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: {"code": {**spec.code, SCORING: "another"}},
        lambda spec: {"libraries": {**spec.libraries, "torch": "1.0"}},
        lambda spec: {"config": {**spec.config, "instruction": "Noise?"}},
        lambda spec: {"inputs": {"corpus": "another"}},
    ],
    ids=["code", "library", "instruction", "clips"],
)
def test_answers_that_may_differ_are_not_known(store, spec, inputs, change):
    assert SCORING in spec.code
    other = replace(spec, **change(spec))
    given = {name: replace(inputs[name], digest=digest) for name, digest in other.inputs.items()}
    _finish(store, other, given)
    assert EvaluationShards().known(store, spec, inputs).folders == ()


def test_a_damaged_output_is_not_known(store, spec, inputs):
    before = replace(spec, code={**spec.code, METRICS: "another"})
    path = _finish(store, before, inputs) / "predictions.parquet"
    path.chmod(0o644)
    path.write_text("other")
    assert EvaluationShards().known(store, spec, inputs).folders == ()


def _further(store, inputs, tmp_path, text):
    """Plan an evaluation of one further instruction beside that of CONFIG."""
    (tmp_path / "ask.txt").write_text(text)
    given = {**inputs, "ask_control": store.digest(tmp_path / "ask.txt")}
    return build_spec(EVALUATE_FURTHER, {**CONFIG, "asked": ["control"]}, given), given


def test_shards_of_further_instructions_are_known(store, inputs, tmp_path):
    spec, given = _further(store, inputs, tmp_path, "Noise?")
    configs = EvaluationShards(2).configs(spec.config, given)
    assert [(one["asked"], one["shard"]) for one in configs] == [(["control"], 0), (["control"], 1)]
    made = _finish(store, build_spec(SCORE_FURTHER_SHARD, configs[0], given), given)
    known = EvaluationShards(2).known(store, spec, given)
    assert (known.folders, known.complete) == ((made,), False)


def test_where_all_instructions_were_asked_before_nothing_is_left(store, inputs, tmp_path):
    spec, given = _further(store, inputs, tmp_path, CONFIG["instruction"])
    assert EvaluationShards(2).known(store, spec, given).complete
