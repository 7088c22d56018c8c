"""Every decision is explained in words that name what changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qsm_core.stage.making import make_output
from qsm_core.store.explain import VerdictKind
from qsm_core.store.spec import StageInput, build_spec
from qsm_core.store.store import Store

CONFIG = {"n": 3, "optimizer": {"lr": 0.1, "name": "adam"}, "text": "x" * 100}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def inputs(tmp_path):
    return {"corpus": StageInput(tmp_path, "1" * 64)}


def test_a_stage_without_history_is_new(store, toys):
    verdict = store.explain(build_spec(toys.count, CONFIG, {}))
    assert verdict.kind is VerdictKind.NEW
    assert verdict.sentence == "new: no earlier output of this stage"


def test_each_kind_of_change_is_named(store, toys, inputs):
    make_output(store, build_spec(toys.count, CONFIG, inputs), inputs)
    spec = build_spec(toys.count, CONFIG, inputs)
    assert store.explain(spec).sentence == "reused"
    deeper = {**CONFIG, "optimizer": {"lr": 0.2, "name": "adam"}}
    other = {"corpus": StageInput(Path("/x"), "2" * 64)}
    cases = [
        (build_spec(toys.count, deeper, inputs), "config optimizer.lr changed from 0.1 to 0.2"),
        (build_spec(toys.count, {**CONFIG, "k": 1}, inputs), "config k is new: 1"),
        (
            build_spec(toys.count, {"n": 3, "text": "x" * 100}, inputs),
            "config optimizer.lr is gone",
        ),
        (build_spec(toys.count, CONFIG, other), "input corpus has other content"),
        (build_spec(toys.count, CONFIG, {}), "input corpus is gone"),
        (replace(spec, code={**spec.code, "q.a": "1"}), "code q.a is newly used"),
        (replace(spec, schema=2), "schema version changed from 1 to 2"),
        (replace(spec, libraries={"numpy": "9"}), "library numpy changed from"),
        (replace(spec, entry="q.b"), "entry module changed from"),
    ]
    for changed, sentence in cases:
        verdict = store.explain(changed)
        assert verdict.kind is VerdictKind.CHANGED
        assert sentence in verdict.sentence
        assert verdict.compared_with == spec.key
        assert spec.key[:8] in verdict.sentence
        json.dumps(verdict.to_json())
    long = store.explain(build_spec(toys.count, {**CONFIG, "text": "y" * 100}, inputs))
    assert len(long.sentence) < 250


def test_what_the_same_run_made_is_no_reason(store, toys):
    """The systems of a study share a stage, and are no changes of each other."""
    before, here, asked = (build_spec(toys.count, {"n": n}, {}) for n in (1, 2, 3))
    make_output(store, before, {})
    began_ns = (store.layout.output(before.stage, before.key) / "manifest.json").stat().st_mtime_ns
    make_output(store, here, {})
    verdict, _ = store.decide(asked, before_ns=began_ns + 1)
    assert verdict.compared_with == before.key
    verdict, _ = store.decide(asked, before_ns=began_ns)
    assert verdict.kind is VerdictKind.NEW
    verdict, _ = store.decide(asked)
    assert verdict.compared_with == here.key


def test_an_edit_of_the_code_names_the_module(store, toys):
    make_output(store, build_spec(toys.count, CONFIG, {}), {})
    toys.edit("arithmetic", "return a + b", "return b + a")
    verdict = store.explain(build_spec(toys.count, CONFIG, {}))
    assert f"code {toys.name}.arithmetic was edited" in verdict.sentence


def test_the_nearest_earlier_output_is_compared_with(store, toys):
    far = build_spec(toys.count, {"n": 1, "a": 1, "b": 1}, {})
    near = build_spec(toys.count, {"n": 2, "a": 2, "b": 1}, {})
    make_output(store, near, {})
    make_output(store, far, {})
    verdict = store.explain(build_spec(toys.count, {"n": 2, "a": 2, "b": 2}, {}))
    assert verdict.compared_with == near.key
    assert [change.name for change in verdict.changes] == ["b"]


def test_among_equally_near_ones_the_latest_is_taken(store, toys):
    one, two = (build_spec(toys.count, {"n": 1, "seed": seed}, {}) for seed in (1, 2))
    make_output(store, one, {})
    make_output(store, two, {})
    make_output(store, one, {}, force=True)
    verdict = store.explain(build_spec(toys.count, {"n": 1, "seed": 3}, {}))
    assert verdict.compared_with == one.key


def test_many_changes_are_cut(store, toys):
    make_output(store, build_spec(toys.count, {"n": 1}, {}), {})
    many = build_spec(toys.count, {"n": 1, **{f"k{i}": i for i in range(9)}}, {})
    verdict = store.explain(many)
    assert len(verdict.changes) == 9
    assert "and 3 more" in verdict.sentence
