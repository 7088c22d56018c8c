import json
import re

import pytest
import yaml

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.answers.writing import answer_text
from qsm_core.acceptance.cases.reading import read_cases
from qsm_core.acceptance.judging import judge_answer, read
from qsm_core.acceptance.synthetic.config import MOST_PRODUCTS, MakeCases
from qsm_core.acceptance.synthetic.make_cases import make_records, run, write_records
from qsm_core.acceptance.synthetic.orders import SHOPS, WORDINGS
from qsm_core.acceptance.synthetic.pools import PLACES, PURPOSES
from qsm_core.acceptance.tasks.loading import check_cases, load_task
from qsm_core.acceptance.tasks.prompts import render_prompt
from qsm_core.errors import ConfigurationError
from tests.support.stages import stage_context

TASK = load_task("product-owner")
ALL = {"task": "product-owner", "seed": 3, **MOST_PRODUCTS}
ORDERS = {"task": "field-extraction", "seed": 3, "training": 120, "evaluation": 90}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    context = stage_context(tmp_path_factory.mktemp("cases"), ALL, {})
    assert run(context) == MOST_PRODUCTS
    return context.out


@pytest.fixture(scope="module")
def orders(tmp_path_factory):
    context = stage_context(tmp_path_factory.mktemp("orders"), ORDERS, {})
    run(context)
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
    assert len(set(concepts)) == sum(MOST_PRODUCTS.values())


@pytest.mark.parametrize(("folder", "config"), [("made", ALL), ("orders", ORDERS)])
def test_equal_seeds_give_equal_bytes_and_fewer_are_the_first_of_more(
    request, tmp_path, folder, config
):
    made = request.getfixturevalue(folder)
    again = stage_context(tmp_path, config | {"training": 10}, {})
    run(again)
    for name in ("training.jsonl", "evaluation.jsonl"):
        whole = (made / name).read_bytes()
        part = (again.out / name).read_bytes()
        assert whole.startswith(part)
        assert name == "training.jsonl" or whole == part
    other = make_records(MakeCases(config["task"], seed=4), "evaluation", 5)
    assert other != records(made / "evaluation.jsonl")[:5]


@pytest.mark.parametrize("pool", ["training", "evaluation"])
def test_every_order_says_what_is_expected_of_it(orders, pool):
    task = load_task("field-extraction")
    cases = read_cases(orders / f"{pool}.jsonl")
    check_cases(task, cases)
    for case in cases:
        answer = read(task, case, answer_text(case.expected, task.parts) or "")
        judged = judge_answer(task, case, answer)
        assert judged.level is Level.CONTRACT, (case.case_id, judged.error)
        assert judged.scores["fields"] == 1
        text, wanted = case.inputs["text"], case.expected
        assert wanted["customer"] in text
        places = [re.search(rf"\ban? {thing}\b", text).start() for thing in wanted["items"]]
        assert places == sorted(places)
        assert (wanted["total"] is None) == ("euros" not in text)
        assert wanted["total"] is None or f"{wanted['total']} euros" in text
        assert (wanted["date"] is None) == (re.search(r"\b202\d\b", text) is None)
        if wanted["date"] is not None:
            year, _, day = wanted["date"].split("-")
            assert wanted["date"] in text or re.search(rf"\b{int(day)}\b.*{year}", text)
        missing = [name for name in ("date", "total") if wanted[name] is None]
        assert len(missing) == (case.slices["tier"] == "hard")
    assert {case.slices["tier"] for case in cases} == {"simple", "medium", "hard"}
    assert len({case.inputs["text"] for case in cases}) == len(cases)


def test_orders_for_training_and_evaluation_share_no_shop_thing_name_or_wording(orders):
    assert not set(SHOPS["training"]) & set(SHOPS["evaluation"])
    things = [
        {t for shop in SHOPS[pool].values() for t in shop} for pool in ("training", "evaluation")
    ]
    assert not things[0] & things[1]
    for name, values in vars(WORDINGS["training"]).items():
        assert not set(values) & set(getattr(WORDINGS["evaluation"], name)), name


def test_there_are_only_so_many_products():
    with pytest.raises(ConfigurationError, match="evaluation = 49: there are 48 products"):
        MakeCases("product-owner", evaluation=49)


def test_a_case_decides_whether_its_prompt_shows_the_example(tmp_path):
    prompts = {}
    for example in (False, True):
        write_records(
            tmp_path / "x.jsonl",
            make_records(MakeCases("product-owner", example=example), "training", 1),
        )
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
