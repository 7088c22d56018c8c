"""Cases are read from the original's files and from tables, checked, ordered and sliced."""

import json
import random
from pathlib import Path

import pytest

from qsm_core.acceptance.cases.columns import CaseColumns
from qsm_core.acceptance.cases.reading import read_cases
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.cases.selection import order_cases, select_cases
from qsm_core.acceptance.config import CaseSelection
from qsm_core.errors import ConfigurationError, DataError


def lines(path: Path, *records: object) -> Path:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return path


def names(cases: list[Case]) -> list[str]:
    return [case.case_id for case in cases]


def test_the_originals_form_under_input_and_at_the_top(tmp_path: Path) -> None:
    fields = {"concept": "A", "requirements_yaml": "title: x"}
    path = lines(
        tmp_path / "cases.jsonl",
        {
            "input": {"concept_id": "P1", "tier": "simple", **fields, "metadata": {"origin": "x"}},
            "output": {"product_vision": "..."},
            "score": 0.9,
        },
        {"concept_id": "P2", "tier": "medium", **fields},
    )
    first, second = read_cases(path)
    assert (first.case_id, second.case_id) == ("P1", "P2")
    assert first.inputs == second.inputs == fields
    assert (first.slices, second.slices) == ({"tier": "simple"}, {"tier": "medium"})
    assert first.expected == {"product_vision": "..."}
    assert second.origin.endswith("cases.jsonl, line 2")


def test_an_empty_field_under_input_gives_way_to_the_top_level(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "c.jsonl", {"input": {"concept_id": "", "tier": "a"}, "concept_id": "P1"}
    )
    (case,) = read_cases(path)
    assert (case.case_id, case.slices) == ("P1", {"tier": "a"})


def test_a_table_with_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "cases.csv"
    path.write_text(
        'key,message,place,expected.total,expected.customer\na1,"two, lamps",north,12,Ada\n'
    )
    columns = CaseColumns(case_id="key", inputs={"text": "message"}, slices=("place",))
    (case,) = read_cases(path, columns)
    assert case == Case(
        "a1",
        {"text": "two, lamps"},
        {"place": "north"},
        {"total": "12", "customer": "Ada"},
        f"{path}, line 2",
    )


def test_all_faults_are_reported_together_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(
        '{"concept_id": "a", "text": "x"}\n'
        "{torn\n"
        '["a list"]\n'
        '{"text": "no name"}\n'
        '{"concept_id": "a", "text": "again"}\n'
        '{"concept_id": "b", "tier": {"deep": 1}}\n'
        '{"input": "text"}\n'
        '{"concept_id": "c", "score": NaN}\n'
    )
    with pytest.raises(DataError) as caught:
        read_cases(path)
    listed = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 7
    for number, word in (
        (2, "is no JSON"),
        (3, "one JSON object a line"),
        (4, "has no concept_id or case_id or id; it has text"),
        (5, "'a' is also the name of"),
        (6, "tier = {'deep': 1}: a slice must be"),
        (7, "input = 'text'"),
        (8, "NaN is no number"),
    ):
        assert f"{path}, line {number}: {word}" in listed or f"line {number}: " in listed
        assert word in listed


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_a_case(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match="has no case"):
        read_cases(path)


def test_a_field_that_the_mapping_names_must_be_there(tmp_path: Path) -> None:
    path = lines(tmp_path / "c.jsonl", {"id": "a", "text": "x"})
    with pytest.raises(
        DataError, match="no field 'body', which the mapping names; it has id, text"
    ):
        read_cases(path, CaseColumns(inputs={"text": "body"}))


CASES = [Case(f"c{i}", {"x": i}, {"tier": "odd" if i % 2 else "even"}) for i in range(34)]


def test_the_originals_order_is_that_of_its_shuffle() -> None:
    shuffled = list(range(34))
    random.seed(42)
    random.shuffle(shuffled)
    chosen = select_cases(CASES, CaseSelection(order="original", max_cases=20))
    assert [case.inputs["x"] for case in chosen] == shuffled[:20]


def test_the_default_order_knows_nothing_of_the_file_nor_of_other_cases() -> None:
    chosen = names(select_cases(CASES, CaseSelection(max_cases=20)))
    assert names(select_cases(CASES[::-1], CaseSelection(max_cases=20))) == chosen
    # One case more takes the place of at most one; the original's order changes altogether.
    more = [*CASES, Case("new", {"x": 34})]
    assert len(set(names(select_cases(more, CaseSelection(max_cases=20)))) & set(chosen)) >= 19
    other = names(select_cases(CASES, CaseSelection(max_cases=20, seed=7)))
    assert set(other) != set(chosen)


def test_a_slice_keeps_the_order_of_all() -> None:
    whole = names(order_cases(CASES, CaseSelection()))
    odd = names(select_cases(CASES, CaseSelection(only={"tier": ("odd",)})))
    assert odd == [name for name in whole if int(name[1:]) % 2]
    assert names(order_cases(CASES, CaseSelection(order="file"))) == names(CASES)


@pytest.mark.parametrize(
    ("only", "listed"),
    [
        ({"tier": ("prime",)}, r"only.tier = 'prime': no case has it; there are: even, odd"),
        ({"rank": ("a",)}, r"only.rank: no case has this slice; there are: tier"),
    ],
)
def test_a_slice_that_is_in_no_case(only: dict, listed: str) -> None:
    with pytest.raises(ConfigurationError, match=listed):
        select_cases(CASES, CaseSelection(only=only))
