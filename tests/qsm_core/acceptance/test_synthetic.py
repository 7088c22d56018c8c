import json

import pytest
import yaml

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.answers.writing import answer_text
from qsm_core.acceptance.cases.reading import read_cases
from qsm_core.acceptance.judging import judge_answer, read
from qsm_core.acceptance.synthetic.config import MOST_EVALUATION, MOST_TRAINING, MakeCases
from qsm_core.acceptance.synthetic.make_cases import make_records, run, write_records
from qsm_core.acceptance.synthetic.pools import PLACES, PURPOSES
from qsm_core.acceptance.tasks.loading import check_cases, load_task
from qsm_core.acceptance.tasks.prompts import render_prompt
from tests.support.stages import stage_context

TASK = load_task("product-owner")
ALL = {"seed": 3, "training": MOST_TRAINING, "evaluation": MOST_EVALUATION}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    context = stage_context(tmp_path_factory.mktemp("cases"), ALL, {})
    assert run(context) == {"training": MOST_TRAINING, "evaluation": MOST_EVALUATION}
    return context.out


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("pool", ["training", "evaluation"])
def test_every_answer_is_one_that_a_good_product_owner_gives(made, pool):
    cases = read_cases(made / f"{pool}.jsonl")
    check_cases(TASK, cases)
    for case in cases:
        answer = read(TASK, case, answer_text(case.expected, TASK.parts) or "")
        judged = judge_answer(TASK, case, answer)
        assert judged.level is Level.CONTRACT, (case.case_id, judged.error)
        assert judged.scores["corrected"] == 1
        assert judged.scores["original"] > 0.9
        assert judged.content["requirements_covered"] == 1
        assert judged.content["invented_ids"] == judged.content["repeated_items"] == 0
        assert judged.content["concept_overlap"] > 0.6


@pytest.mark.parametrize("pool", ["training", "evaluation"])
def test_the_review_follows_from_the_requirements(made, pool):
    """A quality without a number is a gap, one that shuts people out a conflict; there are both."""
    seen = set()
    for record in records(made / f"{pool}.jsonl"):
        requirements = yaml.safe_load(record["input"]["requirements_yaml"])
        review = yaml.safe_load(record["output"]["product_owner_review"])
        alignment = review["requirements_alignment"]
        named = [item.split()[0] for bucket in alignment.values() for item in bucket]
        sections = ("functional_requirements", "non_functional_requirements", "constraints")
        items = [item for section in sections for item in requirements[section]]
        assert sorted(named) == sorted(item["id"] for item in items)
        shut_out = [i["id"] for i in items if i["description"].startswith("Only ")]
        shut_out = [i for i in shut_out if i == "C001" and "sign in" in str(items)]
        vague = ("quickly", "easy", "many people", "often")
        untested = [i["id"] for i in items if any(word in i["description"] for word in vague)]
        assert [item.split()[0] for item in alignment["conflicts"]] == shut_out
        assert [item.split()[0] for item in alignment["gaps"]] == untested
        expected = "misaligned" if shut_out else "needs_adjustment" if untested else "aligned"
        assert review["status"] == expected
        seen.add(expected)
    assert seen == {"aligned", "needs_adjustment", "misaligned"}


def test_training_and_evaluation_share_no_product_place_purpose_or_feature(made):
    for pool in (PLACES, PURPOSES):
        names = [{one.name for one in pool[name]} for name in ("training", "evaluation")]
        assert not names[0] & names[1]
    features = [
        {text for one in PURPOSES[name] for text in (*one.for_guests, *one.for_staff)}
        for name in ("training", "evaluation")
    ]
    assert not features[0] & features[1]
    train, evaluation = (records(made / f"{name}.jsonl") for name in ("training", "evaluation"))
    assert not {r["input"]["place"] for r in train} & {r["input"]["place"] for r in evaluation}
    concepts = [r["input"]["concept"] for r in (*train, *evaluation)]
    assert len(set(concepts)) == MOST_TRAINING + MOST_EVALUATION


def test_equal_seeds_give_equal_bytes_and_fewer_are_the_first_of_more(made, tmp_path):
    again = stage_context(tmp_path, ALL | {"training": 10}, {})
    run(again)
    for name in ("training.jsonl", "evaluation.jsonl"):
        whole = (made / name).read_bytes()
        part = (again.out / name).read_bytes()
        assert whole.startswith(part)
        assert name == "training.jsonl" or whole == part
    other = make_records(MakeCases(seed=4), "evaluation", 5)
    assert other != records(made / "evaluation.jsonl")[:5]


def test_a_case_decides_whether_its_prompt_shows_the_example(tmp_path):
    prompts = {}
    for example in (False, True):
        write_records(tmp_path / "x.jsonl", make_records(MakeCases(example=example), "training", 1))
        prompts[example] = render_prompt(TASK, read_cases(tmp_path / "x.jsonl")[0])
    assert "Night Bus Planner" in prompts[True]
    assert "Night Bus Planner" not in prompts[False]
    assert "of the form below" not in prompts[False]
    assert len(prompts[False]) < 0.6 * len(prompts[True])


def test_answers_are_written_in_the_form_of_the_task():
    vision, review = TASK.parts
    both = {"product_vision": "a: 1", "product_owner_review": {"b": [2]}}
    text = "```yaml VISION\na: 1\n```\n```yaml REVIEW\nb:\n- 2\n```"
    assert answer_text(both, TASK.parts) == text
    assert answer_text({"vision": "a: 1", "review": "b:\n- 2\n"}, TASK.parts) == text
    assert answer_text(" as it is \n", TASK.parts) == "as it is"
    for missing in (None, {}, {"product_vision": "a: 1"}, {"vision": "", "review": "b: 1"}, ""):
        assert answer_text(missing, TASK.parts) is None
    order = load_task("field-extraction").parts
    assert answer_text({"customer": "Ada"}, order) == '```json\n{"customer": "Ada"}\n```'
    assert answer_text({"order": {"total": 1}}, order) == '```json\n{"total": 1}\n```'
    assert vision.label == "VISION"
    assert review.label == "REVIEW"
