"""The task product-owner: its contract, both rubrics and the measures of content."""

import time

import pytest

from qsm_core.acceptance.answers.record import Answer
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.judging import judge_answer, read
from qsm_core.acceptance.rubrics.product_owner import contracts
from qsm_core.acceptance.rubrics.product_owner.content import content
from qsm_core.acceptance.rubrics.product_owner.corrected import corrected
from qsm_core.acceptance.rubrics.product_owner.original import original
from qsm_core.acceptance.rubrics.product_owner.requirements import ids_in, names_id
from qsm_core.acceptance.tasks.loading import load_task
from tests.support.product_owner import REVIEW, alignment, answer_text, blocks, product_case

TASK = load_task("product-owner")
CASE = product_case()


def answer(vision: dict | None = None, review: dict | None = None) -> Answer:
    return read(TASK, CASE, answer_text(vision, review))


def marks(rubric: object, given: Answer) -> dict[str, float]:
    return {mark.name: mark.points for mark in rubric(CASE, given).marks}  # type: ignore[operator]


def test_the_original_rubric_on_a_good_answer() -> None:
    # schema: all 16 checks, 30 (last_updated is quoted, so a text).
    # vision: four lists of two items 4 * 6, a summary of 79 characters 3: 27.
    # alignment: all four ids are named, 22; 4 aligned of 4 requirements, 8; no gap or conflict: 30.
    # specificity: summary 6, actions 12, two empty lists 2 + 2, narrative of 87 characters 3: 25.
    given = answer()
    assert given.is_valid
    assert marks(original, given) == {
        "schema": 30.0,
        "vision": 27.0,
        "alignment": 30.0,
        "specificity": 25.0,
    }
    assert original(CASE, given).value == 112 / 120


def test_the_original_rubric_between_its_steps() -> None:
    # Two of four ids named; the words of the others: FR002 {show, waiting, list, to, gardeners},
    # NFR001 {answers, arrive, within, two, seconds} share nothing with a segment.
    # coverage 0.5: 8 + 0; aligned 1 of 4: 2; a gap: 3; in all 13.
    lists = alignment(aligned=["FR001 is good"], gaps=["C001 is open"])
    short = {"recommended_actions": ["Do"], "summary": ["Fine"], "narrative": "x" * 40}
    given = answer(review=lists | short)
    # specificity: 3 + 6 + 6 for the gap + 2 for the empty list + 0: 17.
    assert marks(original, given)["alignment"] == 13.0
    assert marks(original, given)["specificity"] == 17.0
    # Three of four: 16 + (0.75 - 0.7) / 0.15 * 6 = 18; aligned 2; gap and conflict 6; in all 26.
    more = alignment(aligned=["FR001"], gaps=["C001"], conflicts=["NFR001"])
    assert marks(original, answer(review=more | short))["alignment"] == pytest.approx(26.0)


def test_the_original_rubric_takes_words_for_an_id() -> None:
    # No id: "reserve an allotment for a season" has 6 words (an, for, a count); the item has
    # allotment and season, 2 / 6 >= 0.3. One of four: 0.25 * 8 = 2, and 1 aligned of 4: 2.
    silent = {"summary": ["-"], "recommended_actions": ["-"], "narrative": "x"}
    lists = alignment(aligned=["the allotment per season"])
    assert marks(original, answer(review=lists | silent))["alignment"] == 4.0


def test_the_original_rubric_with_a_review_that_does_not_parse() -> None:
    # schema: 8 of VISION, and an empty alignment is a mapping: 9 of 16, 16.875; vision 27.
    # The rest is 0: 43.875 / 120.
    given = read(TASK, CASE, blocks(answer_text().split("\n```")[0][15:], "status: ["))
    assert given.reason == "invalid_review_yaml"
    assert original(CASE, given).value == 43.875 / 120


def test_a_date_is_a_date() -> None:
    # P4: the original counts a date that YAML reads as one as missing: 15 of 16 checks.
    text = answer_text().replace("'2025-02-03'", "2025-02-03")
    given = read(TASK, CASE, text)
    assert marks(original, given)["schema"] == 30 * 15 / 16
    assert marks(corrected, given)["schema"] == marks(corrected, answer())["schema"] == 30.0


def test_the_corrected_rubric_on_a_good_answer() -> None:
    # 30 + 27 as above; all four covered and named: 22 + 8; specificity 6 + 12 + 3 + 3 + 3 = 27.
    assert corrected(CASE, answer()).value == 114 / 120


def test_nothing_is_won_by_inventing() -> None:
    # P8: a gap and a conflict that nobody needs are worth 3 + 3 + 4 + 4 points of the original.
    invented = alignment(gaps=["Nothing on FR001"], conflicts=["C001 may be a conflict"])
    assert original(CASE, answer(review=invented)).value > original(CASE, answer()).value
    assert corrected(CASE, answer(review=invented)).value == corrected(CASE, answer()).value
    # Ids that the case does not have cost points: two of them, (22 + 8) * 2 / 4 = 15.
    lists = alignment(gaps=["FR017 is missing", "FR018 is missing"])
    assert marks(corrected, answer(review=lists))["alignment"] == 15.0


def test_ids_are_whole_and_a_hyphen_does_not_matter() -> None:
    # P7 and P8.
    assert ids_in("FR-001, fr002; NFR 3 NFR003 AFR001 FR001x C_12") == {
        "FR001",
        "FR002",
        "NFR003",
        "C12",
    }
    assert names_id("see FR-001", "FR001")
    assert not names_id("see FR0010 and XFR001", "FR001")
    assert names_id("the OPS-7 rule", "OPS7")
    hyphens = REVIEW["requirements_alignment"]["aligned"]
    lists = alignment(aligned=[item.replace("00", "-00") for item in hyphens])
    given = answer(review=lists)
    assert given.is_valid
    assert contracts.original(CASE, given).reason == "no_requirement_ids"
    assert corrected(CASE, given).value == corrected(CASE, answer()).value


CONTRACT = [
    ({"product_name": ""}, {}, "vision_missing_product_name"),
    ({"product_summary": None}, {}, "vision_missing_product_summary"),
    ({}, {"requirements_alignment": ["FR001"]}, "alignment_not_dict"),
    ({}, alignment(gaps=None), "alignment_missing_gaps"),
    ({}, alignment(conflicts="none"), "alignment_conflicts_not_list"),
    ({}, alignment(aligned=["all is well"]), "no_requirement_ids"),
    ({}, alignment(aligned=["FR099 is well"]), "no_requirement_ids"),
    ({}, {"recommended_actions": ["Wait"]}, "insufficient_recommended_actions"),
    ({}, {"recommended_actions": "Wait"}, "insufficient_recommended_actions"),
    ({}, {"narrative": "word " * 121}, "narrative_length_exceeded"),
    ({}, {"narrative": ["a", "b"]}, "narrative_length_exceeded"),
    ({}, {"narrative": "word " * 120}, None),
]


@pytest.mark.parametrize(("vision", "review", "reason"), CONTRACT)
def test_the_contract_by_its_reasons(vision: dict, review: dict, reason: str | None) -> None:
    given = answer(vision, review)
    assert given.reason == reason
    # Every rubric scores whatever parses, valid or not.
    judged = judge_answer(TASK, CASE, given)
    assert all(0 <= score <= 1 for score in judged.scores.values())


@pytest.mark.parametrize("key", list(REVIEW))
def test_each_key_of_the_review_is_needed(key: str) -> None:
    lines = answer_text(review={key: "GONE"}).splitlines()
    raw = "\n".join(line for line in lines if "GONE" not in line)
    assert read(TASK, CASE, raw).reason == f"review_missing_{key}"


def test_an_id_that_the_case_does_not_have_meets_the_originals_contract_only() -> None:
    given = answer(review=alignment(aligned=["FR099 is well"]))
    assert contracts.original(CASE, given) is None
    without = Case("PO-2", {"concept": "c", "requirements_yaml": ""})
    assert contracts.corrected(without, given) is None


# P3: YAML that the published student wrote, in the form in which it breaks.
BROKEN = [
    "narrative: The first line\ngoes on at the margin without\na key.",
    "requirements_alignment:\n  aligned:\n  - FR001: first words\n    that wrap\n"
    '  - NFR001, NFR002: ensure\n  - FR003: "quoted" and then\n    more: of it\n  other\n',
]


@pytest.mark.parametrize("review", BROKEN)
def test_a_review_that_does_not_parse_is_not_valid(review: str) -> None:
    raw = answer_text().split("```yaml REVIEW")[0] + f"```yaml REVIEW\n{review}\n```"
    given = read(TASK, CASE, raw)
    assert given.reason == "invalid_review_yaml"
    assert given.line is not None
    assert raw.splitlines()[given.line - 1].strip()


def test_the_rubric_sees_both_blocks() -> None:
    # P1: a rubric that is handed nothing gives 1/16 of a quarter whatever the answer is.
    nothing = original(CASE, read(TASK, CASE, "")).value
    assert nothing == 0.015625
    assert len({nothing, original(CASE, answer()).value, corrected(CASE, answer()).value}) == 3


def test_content_that_form_cannot_buy() -> None:
    measured = content(CASE, answer())
    assert measured["requirements_covered"] == 1.0
    assert measured["invented_ids"] == 0.0
    assert measured["repeated_items"] == 0.0
    # register, allotments, gardeners, municipality, share: all but the last are in the vision.
    assert measured["concept_overlap"] == pytest.approx(4 / 5)
    # Valid in form, empty of content: bare ids, one item again and again, another product.
    hollow = answer(
        {"product_name": "Boat", "product_summary": "boat " * 10, "target_users": ["boat"] * 4},
        alignment(aligned=["FR001, FR002, NFR001, C001, FR077"]),
    )
    assert hollow.is_valid
    measured = content(CASE, hollow)
    assert measured["requirements_covered"] == 0.0
    assert measured["invented_ids"] == 1.0
    assert measured["repeated_items"] > 0.15
    assert measured["concept_overlap"] < 0.8


def test_an_answer_of_thousands_of_items_is_judged_in_time() -> None:
    begin = time.monotonic()
    items = [f"item {i} of FR{i % 100:03}" for i in range(1400)]
    given = answer(review=alignment(aligned=items, gaps=items, conflicts=[]))
    assert given.is_valid
    judged = judge_answer(TASK, CASE, given)
    # Item and FR have no number among their words: all items say the same.
    assert judged.content["repeated_items"] > 0.9
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    "value", [None, 5, "text", [], [1, None, {"a": []}], {"aligned": 3}, True, [["x"]]]
)
@pytest.mark.parametrize("key", ["status", "requirements_alignment", "narrative", "summary"])
def test_no_value_breaks_a_rubric(key: str, value: object) -> None:
    given = answer(review={key: value})
    for scored in (original(CASE, given), corrected(CASE, given)):
        assert 0 <= scored.value <= 1
    assert set(content(CASE, given)) == {
        "requirements_covered",
        "invented_ids",
        "repeated_items",
        "concept_overlap",
    }


def test_requirements_that_cannot_be_read_score_nothing_and_break_nothing() -> None:
    for written in ("a: [", "- x", "functional_requirements: 5", None, 7):
        case = Case("x", {"concept": "", "requirements_yaml": written})
        given = answer()
        assert original(case, given).marks[2].points == 0.0
        assert content(case, given)["requirements_covered"] is None
