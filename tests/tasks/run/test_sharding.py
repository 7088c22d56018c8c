"""Which parts of its work a stage finds in the store, and when nothing is left to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qsm_core.evaluation.scoring.config import EvaluateConfig, FurtherConfig
from qsm_core.stage.launch import Launched
from qsm_core.stage.making import make_output
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tasks.evaluation import evaluate, evaluate_further, score_further_shard, score_shard
from tasks.run.config_values import config_values
from tasks.run.handle import StageHandle
from tasks.run.sharding import KnownParts, known_parts, shard_configs
from tests.support.corpora import make_corpus

CONFIG = EvaluateConfig(
    system="base", instruction="Is it speech?", conditions=("snr_0dB", "dur_100ms")
)
FURTHER = FurtherConfig(
    system="base",
    instruction=CONFIG.instruction,
    conditions=CONFIG.conditions,
    asked=("control",),
)
METRICS = "qsm_core.evaluation.analysis.metrics"
SCORING = "qsm_core.inference.scoring"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def inputs(store, tmp_path):
    make_corpus(tmp_path / "corpus", test=40)
    return {"corpus": store.digest(tmp_path / "corpus")}


def _handle(stage, config, inputs, num_shards=1):
    return StageHandle(
        name="evaluation",
        place=(0, 1, 0),
        stage=stage,
        config=config,
        values=config_values(stage, config, "evaluation"),
        inputs=inputs,
        runtime={},
        force=False,
        start=lambda: None,
        num_shards=num_shards,
        definition=stage.definition,
    )


def _spec(stage, config, inputs):
    return build_spec(stage.definition, config_values(stage, config, "evaluation"), inputs)


@pytest.fixture
def spec(inputs):
    return _spec(evaluate, CONFIG, inputs)


def _known(store, stage, config, inputs):
    handle, spec = _handle(stage, config, inputs), _spec(stage, config, inputs)
    return known_parts(store, handle, stage.traits.sharding, spec, inputs)


def _shards(stage, config, inputs, wanted):
    handle = _handle(stage, config, inputs, wanted)
    return shard_configs(handle, stage.traits.sharding, inputs, KnownParts())


def _finish(store, spec, inputs):
    """Put an output of a spec into the store, made by nobody."""

    def launch(_spec, context, _inputs):
        (context.out / "predictions.parquet").write_text("rows")
        return Launched(summary={}, usage={})

    return make_output(store, spec, inputs, launch=launch).path


def test_as_many_shards_as_wanted_but_no_more_than_blocks(inputs):
    configs = _shards(evaluate, CONFIG, inputs, 2)
    assert [(one.shard, one.shards) for one in configs] == [(0, 2), (1, 2)]
    assert len(_shards(evaluate, CONFIG, inputs, 99)) == 3  # 40 clips in blocks of 16
    assert len(_shards(evaluate, replace(CONFIG, block_clips=10), inputs, 99)) == 4
    assert _shards(evaluate, CONFIG, inputs, 1) == ()


def test_shards_of_any_number_are_known(store, inputs):
    assert _known(store, evaluate, CONFIG, inputs).folders == ()
    (_, shard, _) = _shards(evaluate, CONFIG, inputs, 3)
    made = _finish(store, _spec(score_shard, shard, inputs), inputs)
    known = _known(store, evaluate, CONFIG, inputs)
    assert known.folders == (made,)
    assert not known.complete


def test_an_evaluation_with_other_code_of_the_metrics_is_known(store, spec, inputs):
    assert METRICS in spec.code
    before = replace(spec, code={**spec.code, METRICS: "another"})
    made = _finish(store, before, inputs)
    assert before.key != spec.key
    assert _known(store, evaluate, CONFIG, inputs).folders == (made,)
    assert _known(store, evaluate, CONFIG, inputs).complete


def test_an_evaluation_with_another_bootstrap_is_known(store, inputs):
    bootstrap = replace(CONFIG.bootstrap, num_resamples=100)
    made = _finish(store, _spec(evaluate, replace(CONFIG, bootstrap=bootstrap), inputs), inputs)
    assert _known(store, evaluate, CONFIG, inputs).folders == (made,)


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: {"code": {**spec.code, SCORING: "another"}},
        lambda spec: {"libraries": {**spec.libraries, "torch": "1.0"}},
        lambda spec: {"config": {**spec.config, "instruction": "Is it noise?"}},
        lambda spec: {"inputs": {"corpus": "another"}},
    ],
    ids=["code", "library", "instruction", "clips"],
)
def test_answers_that_may_differ_are_not_known(store, spec, inputs, change):
    assert SCORING in spec.code
    other = replace(spec, **change(spec))
    given = {name: replace(inputs[name], digest=digest) for name, digest in other.inputs.items()}
    _finish(store, other, given)
    assert _known(store, evaluate, CONFIG, inputs).folders == ()


def test_a_damaged_output_is_not_known(store, spec, inputs):
    before = replace(spec, code={**spec.code, METRICS: "another"})
    path = _finish(store, before, inputs) / "predictions.parquet"
    path.chmod(0o644)
    path.write_text("other")
    assert _known(store, evaluate, CONFIG, inputs).folders == ()


def _asking(store, inputs, tmp_path, text):
    """Return the inputs of an evaluation of one further instruction beside that of CONFIG."""
    (tmp_path / "ask.txt").write_text(text)
    return {**inputs, "ask_control": store.digest(tmp_path / "ask.txt")}


def test_shards_of_further_instructions_are_known(store, inputs, tmp_path):
    given = _asking(store, inputs, tmp_path, "Is it noise?")
    configs = _shards(evaluate_further, FURTHER, given, 2)
    assert [(one.asked, one.shard) for one in configs] == [(("control",), 0), (("control",), 1)]
    made = _finish(store, _spec(score_further_shard, configs[0], given), given)
    known = _known(store, evaluate_further, FURTHER, given)
    assert (known.folders, known.complete) == ((made,), False)


def test_nothing_is_left_where_all_instructions_have_an_evaluation(store, inputs, tmp_path):
    given = _asking(store, inputs, tmp_path, CONFIG.instruction)
    assert _known(store, evaluate_further, FURTHER, given).complete
