"""Task folders are read, refused by file and field, and make prompts and rubrics."""

import json
import re
from pathlib import Path

import pytest

from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.judging import by_task, judge, may_retry, outcome_of, read
from qsm_core.acceptance.results.attempts import Attempt
from qsm_core.acceptance.rubrics.checks import Check, rubric_of
from qsm_core.acceptance.tasks.loading import (
    BUILT_IN,
    built_in_tasks,
    check_cases,
    folder_digest,
    load_task,
)
from qsm_core.acceptance.tasks.prompts import render_prompt
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.store.closure import code_digests
from tests.support.product_owner import answer_text, product_case, write_task

ORDER = {"customer": "Ada", "date": "2025-01-02", "items": ["lamp", "chair"], "total": 5}
FRANCE = Case("fr", {"country": "France"}, expected={"capital": "Paris"})


def test_the_tasks_that_come_with_qsm() -> None:
    assert built_in_tasks() == ["field-extraction", "product-owner"]
    for name in built_in_tasks():
        task = load_task(name)
        assert task.name == name
        assert task.digest == folder_digest(BUILT_IN / name.replace("-", "_"))


def test_the_digest_of_a_stages_code_holds_the_rubrics_that_tasks_name() -> None:
    named = {
        entry.partition(":")[0]
        for path in BUILT_IN.glob("*/task.yaml")
        for entry in re.findall(r"qsm_core[\w.]+:\w+", path.read_text())
    }
    assert named
    assert named <= set(code_digests("qsm_core.acceptance.tasks.loading"))


def test_the_prompt_of_the_product_owner_states_its_rules() -> None:
    prompt = render_prompt(load_task("product-owner"), product_case())
    for said in (
        "```yaml VISION",
        "```yaml REVIEW",
        "aligned, needs_adjustment, misaligned",
        "120 words",
        "FR002",
        "A register of allotments",
    ):
        assert said in prompt
    assert prompt.endswith("Answer with the two blocks alone.")
    assert prompt == render_prompt(load_task("product-owner"), product_case(), attempt=1)
    again = render_prompt(load_task("product-owner"), product_case(), attempt=2)
    assert again.startswith(prompt)
    assert "did not keep to the form" in again


def test_the_example_in_the_prompt_meets_the_contract() -> None:
    task = load_task("product-owner")
    example = task.template.split("FORM\n")[1].split("{% endif %}")[0]
    requirements = "functional_requirements: [{id: FR001}, {id: FR002}, {id: NFR001}]"
    case = Case("x", {"concept": "buses", "requirements_yaml": requirements})
    assert read(task, case, example).reason is None


@pytest.mark.parametrize(
    ("raw", "reason", "score"),
    [
        (json.dumps(ORDER), None, 1.0),
        # Customer 2 and date 2, total 3, one of two items: F1 = 2 * 1 / 3, times 3: 9 of 10.
        (json.dumps(ORDER | {"customer": " ADA ", "items": ["Lamp"], "total": 5.0}), None, 0.9),
        (json.dumps(ORDER | {"total": "5"}), "order_total_type", 1.0),
        (json.dumps(ORDER | {"date": "soon"}), "order_date_format", 0.8),
        (json.dumps({"customer": "Ada"}), "order_missing_date", 0.2),
        ("no", "invalid_order_json", 0.0),
    ],
)
def test_fields_are_compared_with_what_is_expected(
    raw: str, reason: str | None, score: float
) -> None:
    task, case = load_task("field-extraction"), Case("a", {"text": "t"}, expected=ORDER)
    judged = judge(task, case, Attempt("student", "a", 1, 0, raw))
    assert (judged.reason, judged.scores) == (reason, {"fields": pytest.approx(score)})


CHECKS = [
    (Check("present", "p", "a"), {"a": [1]}, 1.0),
    (Check("present", "p", "a"), {"a": []}, 0.0),
    (Check("present", "p", "a.1.b"), {"a": [0, {"b": "x"}]}, 1.0),
    (Check("present", "p", "a.5"), {"a": [0]}, 0.0),
    (Check("items", "p", "a", at_least=4), {"a": [1]}, 0.25),
    (Check("items", "p", "a"), {"a": "text"}, 0.0),
    (Check("words", "p", "a", at_most=2), {"a": "one two"}, 1.0),
    (Check("words", "p", "a", at_most=2), {"a": "one two three"}, 0.0),
    (Check("one_of", "p", "a", values=("yes", 3)), {"a": "YES"}, 1.0),
    (Check("one_of", "p", "a", values=("yes", 3)), {"a": 3.0}, 1.0),
    (Check("one_of", "p", "a", values=(True,)), {"a": 1}, 0.0),
    (Check("matches", "p", "a", pattern="[A-Z]+"), {"a": "AB"}, 1.0),
    (Check("matches", "p", "a", pattern="[A-Z]+"), {"a": "ABc"}, 0.0),
    (Check("equals", "p", "a", expected="b.c"), {"a": {"y": 1, "x": "t"}}, 1.0),
    (Check("equals", "p", "gone"), {"a": 1}, None),
    (Check("equals", "p", "a", expected="n"), {"a": "12"}, 1.0),
    (Check("equals", "p", "a", expected="n"), {"a": "012"}, 0.0),
    (Check("equals", "p", "a", expected="l"), {"a": ["X", "x", "z"]}, 2 / 3),
    (Check("equals", "p", "a", expected="l"), {"a": "x"}, 0.0),
]


@pytest.mark.parametrize(("check", "value", "share"), CHECKS)
def test_each_check(tmp_path: Path, check: Check, value: dict, share: float | None) -> None:
    folder = write_task(tmp_path, parts=[{"name": "p", "kind": "json"}])
    folder_task = load_task(
        write_task(
            folder,
            parts=[{"name": "p", "kind": "json"}],
            rubrics={"r": [_as_dict(check)]},
            rubric="r",
        )
    )
    case = Case(
        "x",
        {"country": "F"},
        expected={"b": {"c": {"x": "T", "y": 1.0}}, "n": 12.0, "l": list("xyx")},
    )
    answer = read(folder_task, case, json.dumps(value))
    assert check.share(case, answer) == share
    # A check that the case says nothing about does not count.
    assert rubric_of([check])(case, answer).value == (1.0 if share is None else share)


def _as_dict(check: Check) -> dict:
    return {key: list(v) if isinstance(v, tuple) else v for key, v in vars(check).items()}


def test_python_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from qsm_core.acceptance.answers.record import Breach\n"
        "from qsm_core.acceptance.rubrics.score import Mark, Score\n"
        "def short(case, answer):\n"
        "    return Breach('too_long', 'long') if len(answer.raw) > 40 else None\n"
        "def letters(case, answer):\n"
        "    return Score(min(1.0, len(answer.raw) / 40), (Mark('letters', 1, 1),))\n"
        "def count(case, answer):\n"
        "    return {'length': float(len(answer.raw)), 'unknown': None}\n"
        "def much(case, answer):\n"
        "    return Score(7.0)\n"
    )
    task = load_task(
        write_task(
            tmp_path,
            contracts={"short": "mine.py:short"},
            contract="short",
            content="mine.py:count",
            rubrics={"letters": "mine.py:letters"},
            rubric="letters",
        )
    )
    judged = by_task(task, {"fr": FRANCE})("fr", '{"capital": "Paris"}')
    assert (judged.reason, judged.scores) == (None, {"letters": 0.5})
    assert judged.content == {"length": 20.0, "unknown": None}
    assert (
        by_task(task, {"fr": FRANCE})("fr", '{"capital": "Paris"}' + " " * 30).reason == "too_long"
    )
    broken = load_task(write_task(tmp_path, rubrics={"much": "mine.py:much"}, rubric="much"))
    with pytest.raises(DataError, match=r"rubric much on case 'fr'.*gives 7.0"):
        by_task(broken, {"fr": FRANCE})("fr", "{}")


def test_the_python_of_the_docs(tmp_path: Path) -> None:
    docs = Path(__file__).parents[3] / "docs/acceptance.md"
    (tmp_path / "checks.py").write_text(docs.read_text().split("```python\n")[1].split("```")[0])
    folder = write_task(
        tmp_path,
        parts=[{"name": "order", "kind": "json"}],
        contracts={"mine": "checks.py:my_contract"},
        contract="mine",
        content="checks.py:my_content",
        rubrics={"mine": "checks.py:my_rubric"},
        rubric="mine",
    )
    case = Case("a", {"country": "x"}, expected={"total": 5})
    judge_text = by_task(load_task(folder), {"a": case})
    good = judge_text("a", '{"total": 5, "items": ["lamp"]}')
    assert (good.reason, good.scores, good.content) == (None, {"mine": 1.0}, {"items": 1.0})
    assert judge_text("a", '{"total": 4}').reason == "order_without_items"
    assert judge_text("a", "nothing").scores == {"mine": 0.0}


BROKEN = [
    ({"rubric": "best"}, r"task.yaml: rubric = 'best': is not in rubrics; there are: right"),
    ({"contract": "c"}, r"task.yaml: contract = 'c': is not in contracts; there are: none"),
    ({"title": None}, r"task.yaml: title: is missing"),
    ({"colour": "red"}, r"task.yaml: colour = 'red': there is no such field"),
    ({"inputs": []}, r"task.yaml: inputs = "),
    ({"gates": {"alpha": 5}}, r"task.yaml: gates.alpha = '5': "),
    ({"inputs": ["city"]}, r"prompt.jinja: uses country, which is neither in inputs nor in"),
    ({"prompt": {"template": "gone.jinja"}}, r"prompt.template = 'gone.jinja': .* cannot be read"),
    ({"prompt": {"template": "../x.jinja"}}, r"'../x.jinja': the file must be in the folder"),
    ({"parts": [{"name": "fact", "kind": "xml"}]}, r"task.yaml: parts.0.kind = 'xml'"),
    (
        {"parts": [{"name": "fact", "kind": "text", "schema": "fact.schema.json"}]},
        r"parts.0: a free text has no schema",
    ),
    (
        {"rubrics": {"right": [{"check": "equals", "part": "p"}]}},
        r"rubrics.right.0.part = 'p': the",
    ),
    ({"rubrics": {"right": []}}, r"rubrics.right: has no check"),
    ({"rubrics": {"right": "gone.py:f"}}, r"rubrics.right = 'gone.py:f': there is no file"),
    ({"rubrics": {"right": "json:gone"}}, r"rubrics.right = 'json:gone': json has no function"),
    ({"rubrics": {"right": "no_such_module_x:f"}}, r"cannot be imported \(ModuleNotFoundError"),
    (
        {"rubrics": {"right": [{"check": "matches", "part": "fact", "pattern": "("}]}},
        r"rubrics.right.0.pattern = '\(': is no regular expression",
    ),
    (
        {"rubrics": {"right": [{"check": "present", "part": "fact", "weight": 0}]}},
        r"rubrics.right.0.weight = 0.0: must be more than 0",
    ),
]


@pytest.mark.parametrize(("changes", "said"), BROKEN)
def test_a_broken_task_is_refused_by_file_and_field(
    tmp_path: Path, changes: dict, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_task(write_task(tmp_path, **changes))


def test_all_faults_of_a_task_are_reported_together(tmp_path: Path) -> None:
    folder = write_task(tmp_path, rubric="best", contract="c", inputs=["city"])
    (folder / "fact.schema.json").write_text('{"type": "wish"}')
    with pytest.raises(ConfigurationError) as caught:
        load_task(folder)
    listed = "\n".join(caught.value.problems)
    for word in ("rubric =", "contract =", "uses country", "is no JSON Schema: type: 'wish'"):
        assert word in listed


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("task.yaml", "name: [", r"task.yaml, line 1: is no YAML"),
        ("prompt.jinja", "{{ country", r"prompt.jinja, line 1: "),
        ("fact.schema.json", "{", r"fact.schema.json: is no JSON"),
        ("fact.schema.json", "[]", r"fact.schema.json: must be an object"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, file: str, text: str, said: str) -> None:
    (write_task(tmp_path) / file).write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_task(tmp_path)


def test_a_task_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"neither a folder with task.yaml nor field-extr"):
        load_task(tmp_path / "gone")


def test_a_template_cannot_reach_out_of_its_box(tmp_path: Path) -> None:
    folder = write_task(tmp_path)
    (folder / "prompt.jinja").write_text("{{ country.__class__.__mro__ }}")
    with pytest.raises(DataError, match=r"the prompt of task capitals: .*unsafe"):
        render_prompt(load_task(folder), FRANCE)


def test_cases_that_do_not_fit_a_task(tmp_path: Path) -> None:
    task = load_task(write_task(tmp_path))
    check_cases(task, [FRANCE])
    cases = [Case("a", {"land": "x"}, origin="c.jsonl, line 1"), Case("b", {"country": "y"})]
    with pytest.raises(DataError) as caught:
        check_cases(task, cases)
    assert caught.value.problems == (
        "c.jsonl, line 1: a has no country, which task capitals needs; it has land",
        "c.jsonl, line 1: a has no expected, with which rubric right of task capitals compares",
        "b: b has no expected, with which rubric right of task capitals compares",
    )


def test_the_digest_changes_with_any_file(tmp_path: Path) -> None:
    before = load_task(write_task(tmp_path)).digest
    assert folder_digest(tmp_path) == before
    (tmp_path / "prompt.jinja").write_text("Capital of {{ country }}?")
    assert folder_digest(tmp_path) != before


def _tried(*raw: str, finish: str = "stop") -> list:
    task, case = load_task("product-owner"), product_case()
    attempts = [
        Attempt("student", case.case_id, i + 1, 7, text, finish, completion_tokens=5, seconds=2.0)
        for i, text in enumerate(raw)
    ]
    return [(one, judge(task, case, one)) for one in attempts]


def test_the_first_valid_attempt_counts_and_else_the_last() -> None:
    tried = _tried("nothing", answer_text(), answer_text(review={"status": "x"}))
    outcome = outcome_of(product_case(), tried, rubric="corrected")
    assert (outcome.level.label, outcome.first_level.label) == ("contract", "nothing")
    assert (outcome.attempts, outcome.seconds, outcome.completion_tokens) == (3, 6.0, 15)
    assert outcome.score == outcome.scores["corrected"] == 114 / 120
    assert outcome.slices == {"tier": "simple"}
    failed = outcome_of(product_case(), _tried("a", "b"), rubric="corrected")
    assert (failed.raw_text, failed.reason, failed.attempts) == ("b", "missing_yaml_blocks", 2)


def test_what_is_tried_again() -> None:
    ((_, good),) = _tried(answer_text())
    ((_, bad),) = _tried("nothing")
    ((_, cut),) = _tried("```yaml VISION\n", finish="length")
    ((_, failed),) = _tried("", finish="error")
    assert not may_retry(good, made=1, retries=2)
    assert [may_retry(bad, made=made, retries=2) for made in (1, 2, 3)] == [True, True, False]
    assert cut.reason == "truncated"
    assert not may_retry(cut, made=1, retries=2)
    assert failed.reason == "generation_failed"
    assert may_retry(failed, made=1, retries=2)
