import dataclasses
import json

import pytest

from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.student.config import TrainStudent
from qsm_core.acceptance.student.pairs import (
    TaughtPair,
    check_apart,
    split_by_group,
    taught_pairs,
)
from qsm_core.acceptance.tasks.loading import load_task
from qsm_core.acceptance.tasks.prompts import render_prompt
from qsm_core.errors import DataError
from qsm_core.training.text.examples import Pair
from tests.support.product_owner import REVIEW, VISION, product_case

TASK = load_task("product-owner")
ANSWER = {"product_vision": VISION, "product_owner_review": REVIEW}


def case(name, answer, **inputs):
    one = product_case(name)
    return dataclasses.replace(one, expected=answer, inputs={**one.inputs, **inputs})


def test_a_pair_is_the_prompt_of_the_evaluation_and_a_whole_answer():
    cases = [case("A", ANSWER), case("B", ANSWER, example=False)]
    taught = taught_pairs(TASK, cases, TrainStudent())
    for one, pair in zip(cases, taught.pairs, strict=True):
        assert pair.pair.prompt == render_prompt(TASK, one)
        assert pair.pair.answer.startswith("```yaml VISION\nproduct_name: Allotment register\n")
        assert pair.pair.answer.endswith("\n```")
    assert "FORM" in taught.pairs[0].pair.prompt
    assert "FORM" not in taught.pairs[1].pair.prompt
    assert taught.left_out == {}


def test_answers_that_are_not_worth_learning_are_named_or_left_out_and_counted():
    broken = ANSWER | {"product_owner_review": REVIEW | {"recommended_actions": ["One"]}}
    cases = [case("good", ANSWER), case("none", None), case("broken", broken)]
    with pytest.raises(DataError) as caught:
        taught_pairs(TASK, cases, TrainStudent())
    text = str(caught.value)
    assert "none: has no answer under output or expected; needed are vision and review" in text
    assert "broken: its answer is not valid: insufficient_recommended_actions" in text
    assert "unfit = 'leave_out'" in text
    taught = taught_pairs(TASK, cases, TrainStudent(unfit="leave_out"))
    assert [one.pair.name for one in taught.pairs] == ["good"]
    assert taught.left_out == {"no_answer": 1, "not_valid": 1}
    strict = taught_pairs(TASK, cases, TrainStudent(unfit="leave_out", min_score=0.999))
    assert strict.pairs == []
    assert strict.left_out == {"low_score": 1, "no_answer": 1, "not_valid": 1}


def test_groups_are_fields_or_prompts_and_never_cross():
    cases = [case(f"{number}", ANSWER, place=f"p{number % 5}") for number in range(20)]
    pairs = taught_pairs(TASK, cases, TrainStudent(group="place")).pairs
    config = TrainStudent(group="place", dev_share=0.4)
    train, dev = split_by_group(pairs, config)
    assert len({one.group for one in dev}) == 2
    assert not {one.group for one in train} & {one.group for one in dev}
    assert len(train) + len(dev) == 20
    assert split_by_group(pairs, config) == (train, dev)
    assert {
        tuple(sorted({one.group for one in split_by_group(pairs, other)[1]}))
        for other in (dataclasses.replace(config, split_seed=seed) for seed in range(10))
    } > {tuple(sorted({one.group for one in dev}))}
    with pytest.raises(DataError, match="at least 2 groups"):
        split_by_group(taught_pairs(TASK, cases, TrainStudent()).pairs, TrainStudent())
    with pytest.raises(DataError, match="group = 'town': has no such field; has concept"):
        taught_pairs(TASK, cases, TrainStudent(group="town"))


def test_a_dev_file_with_groups_of_train_is_refused():
    one, other = (TaughtPair(Pair(name, "p", "a"), name, 1.0) for name in ("a", "b"))
    check_apart([one], [other])
    with pytest.raises(DataError, match="group 'a' is in cases and in dev"):
        check_apart([one], [one, other])
    with pytest.raises(DataError, match="dev: has no usable case"):
        check_apart([one], [])


def test_cases_in_the_form_of_the_original_are_read(tmp_path):
    from qsm_core.acceptance.cases.reading import read_cases

    given = product_case()
    record = {
        "input": {"concept_id": "POCON-1", **given.inputs, "tier": "simple", "metadata": {}},
        "output": ANSWER,
        "score": 0.9,
    }
    (tmp_path / "cases.jsonl").write_text(json.dumps(record) + "\n")
    (read,) = read_cases(tmp_path / "cases.jsonl")
    assert isinstance(read, Case)
    (pair,) = taught_pairs(TASK, [read], TrainStudent(min_score=0.82)).pairs
    assert pair.score > 0.82
