"""Whatever a model writes is read: to parts, or to a reason with its line."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsm_core.acceptance.answers.levels import Level
from qsm_core.acceptance.answers.reading import read_answer
from qsm_core.acceptance.answers.record import Breach, Part
from qsm_core.acceptance.answers.schemas import json_value, schema_breach
from qsm_core.acceptance.answers.yaml_text import MOST_CHARACTERS, TextError, parse_json, parse_yaml
from tests.support.product_owner import blocks

PARTS = (Part("vision", label="VISION"), Part("review", label="REVIEW"))
JSON = (Part("fields", "json", schema={"type": "object", "required": ["total"]}),)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
# What an answer is, what it is found to be, and on which line.
STRANGE = [
    ("nothing", "", "missing_yaml_blocks", "the answer is empty", None),
    ("blanks", " \n\t\n", "missing_yaml_blocks", "the answer is empty", None),
    ("garbage", "!!! 17 %% ]]", "missing_yaml_blocks", "no fence at all", None),
    ("another language", "対象は園芸家です", "missing_yaml_blocks", "begins '対象", None),
    (
        "labels in small letters",
        blocks("a: 1", "b: 2").replace("VISION", "vision").replace("REVIEW", "review"),
        "missing_yaml_blocks",
        "instead there is '```yaml vision'",
        1,
    ),
    ("yml", "```yml VISION\na: 1\n```", "missing_yaml_blocks", "instead there is '```yml", 1),
    ("one block", "\n```yaml VISION\na: 1\n```", "missing_yaml_blocks", "no block ```yaml REV", 2),
    ("not closed", "```yaml VISION\na: 1", "missing_yaml_blocks", "does not close", 1),
    ("empty block", blocks("", "b: 2"), "missing_yaml_blocks", "VISION is empty", 1),
    ("tabs", blocks("a:\n\tb: 1", "b: 2"), "invalid_vision_yaml", r"character '\t'", 3),
    ("not YAML", blocks("a: 1", "b: 'x"), "invalid_review_yaml", "end of stream", 5),
    ("two documents", blocks("a: 1\n---\nb: 2", "b: 2"), "invalid_vision_yaml", "another doc", 3),
    ("aliases that explode", blocks(BOMB, "b: 2"), "invalid_vision_yaml", "more than 50000", None),
    ("an alias of itself", blocks("a: &x [*x]", "b: 2"), "invalid_vision_yaml", "50 levels", 2),
    ("deep", blocks("a: " + "[" * 5000, "b: 2"), "invalid_vision_yaml", "50 levels", None),
    ("30 February", blocks("a: 2025-02-30", "b: 2"), "invalid_vision_yaml", "day is out of", 2),
    ("5,000 digits", blocks("x: 1\na: " + "9" * 5000, "b: 2"), "invalid_vision_yaml", "4300", 3),
    ("objects", blocks("a: !!python/name:os.system", "b: 2"), "invalid_vision_yaml", "tag", 2),
    ("a list as key", blocks("? [1]\n: 2", "b: 2"), "invalid_vision_yaml", "unhashable", 2),
    ("a null byte", blocks("a: \0", "b: 2"), "invalid_vision_yaml", r"'\x00' is not allowed", 2),
    ("a list", blocks("- a", "b: 2"), "vision_not_mapping", "vision is a list", 2),
    ("a text", blocks("a: 1", "nothing to say"), "review_not_mapping", "review is a text", 5),
    ("a comment", blocks("a: 1", "# nothing"), "review_not_mapping", "review is empty", 5),
    ("a lone surrogate", "\ud800 ```", "missing_yaml_blocks", "the first fence", 1),
    (
        "100,000 tokens without a block",
        "word " * 100_000,
        "missing_yaml_blocks",
        "no fence at all",
        None,
    ),
    (
        "100,000 tokens in a block",
        blocks("a: " + "word " * 100_000, "b: 2"),
        "invalid_vision_yaml",
        "at most 100000 are read",
        None,
    ),
]


@pytest.mark.parametrize(
    ("raw", "reason", "error", "line"),
    [one[1:] for one in STRANGE],
    ids=[one[0] for one in STRANGE],
)
def test_a_reason_for_everything(raw: str, reason: str, error: str, line: int | None) -> None:
    begin = time.monotonic()
    answer = read_answer(raw, PARTS)
    assert (answer.reason, answer.is_valid) == (reason, False)
    assert error in answer.error
    assert line is None or answer.line == line
    assert time.monotonic() - begin < 20


def test_the_levels_contain_each_other() -> None:
    def level(vision: str) -> Level:
        return read_answer(blocks(vision, "b: 2"), PARTS, contract=_not_ten).level

    assert [level(text) for text in ("", "a: [", "- a", "a: 10", "a: 1")] == list(Level)


def _not_ten(answer: object) -> Breach | None:
    value = answer.parts["vision"].value  # type: ignore[attr-defined]
    return Breach("ten", "a is 10") if value == {"a": 10} else None


def test_the_worst_part_says_why() -> None:
    # VISION is a list (it parses), REVIEW does not parse at all: that is what is wrong first.
    answer = read_answer(blocks("- a", "b: ["), PARTS)
    assert (answer.level, answer.reason) == (Level.FOUND, "invalid_review_yaml")


def test_values_are_plain_and_blocks_end_at_the_next_fence() -> None:
    raw = "Here:\n" + blocks("a: 2025-01-02\nb: [x]", "c: {d: 1}") + "\n```yaml VISION\na: 2\n```"
    answer = read_answer(raw, PARTS)
    assert answer.is_valid
    assert json_value(answer.parts["vision"].value) == {"a": "2025-01-02", "b": ["x"]}
    nested = "```yaml VISION\na: |\n  ```python\n  x\n  ```\n```\n```yaml REVIEW\nb: 2\n```"
    assert read_answer(nested, PARTS).parts["vision"].text == "a: |"


def test_back_ticks_around_words_are_dropped_and_noted() -> None:
    answer = read_answer(blocks("a: `x` y", "b: 2"), PARTS)
    assert answer.is_valid
    assert answer.parts["vision"].is_repaired
    assert answer.parts["vision"].value == {"a": "x y"}


def test_cut_off_is_a_reason_of_its_own_unless_the_answer_is_whole() -> None:
    cut = read_answer("```yaml VISION\na: 1", PARTS, is_truncated=True)
    assert (cut.reason, cut.is_truncated) == ("truncated", True)
    assert "does not close" in cut.error
    rambling = read_answer(blocks("a: 1", "b: 2") + "\nAlso, ", PARTS, is_truncated=True)
    assert (rambling.is_valid, rambling.reason) == (True, None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ('{"total": 5}', None),
        ('Sure:\n```json\n{"total": 5}\n```', None),
        ('{"total": NaN}', "invalid_fields_json"),
        ("{'total': 5}", "invalid_fields_json"),
        ('{"a": ' * 5000, "invalid_fields_json"),
        ('{"total": ' + "9" * 5000 + "}", "invalid_fields_json"),
        ("[5]", "fields_not_mapping"),
        ("{}", "fields_missing_total"),
        ("```\n{}\n```", "missing_json_blocks"),
        ("", "missing_json_blocks"),
    ],
)
def test_json_with_and_without_a_fence(raw: str, reason: str | None) -> None:
    assert read_answer(raw, JSON).reason == reason


def test_free_text() -> None:
    (part,) = read_answer(" Paris.\n", [Part("answer", "text")]).parts.values()
    assert (part.text, part.level) == ("Paris.", Level.MAPPING)
    assert read_answer(" ", [Part("answer", "text")]).reason == "missing_text"


@pytest.mark.parametrize(
    ("schema", "value", "reason"),
    [
        ({"properties": {"a": {"type": "string"}}}, {"a": 1}, "x_a_type"),
        ({"properties": {"a": {"items": {"enum": ["k"]}}}}, {"a": ["k", "l"]}, "x_a_1_enum"),
        ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, "x_a_missing_b"),
        ({"properties": {"a": {"format": "date"}}}, {"a": "soon"}, "x_a_format"),
    ],
)
def test_reasons_made_of_a_schema(schema: dict, value: dict, reason: str) -> None:
    breach = schema_breach(Part("x", schema=schema), value)
    assert breach is not None
    assert breach.reason == reason


def test_a_date_of_yaml_is_a_text_for_a_schema() -> None:
    part = Part("x", schema={"properties": {"a": {"type": "string", "format": "date"}}})
    assert schema_breach(part, parse_yaml("a: 2025-01-02")) is None


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    for raw in (text, blocks(text, text), f"```json\n{text}\n```"):
        for parts in (PARTS, JSON):
            answer = read_answer(raw, parts)
            assert (answer.reason is None) == answer.is_valid


@given(st.text(alphabet="&*[]{}:-?!|>'\"#%@`a1 \n\t", max_size=200))
def test_any_punctuation_is_yaml_or_an_error(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        with suppress(TextError):  # and nothing else
            parse(text)


def test_the_longest_text_that_is_read_is_read_in_time() -> None:
    begin = time.monotonic()
    items = parse_yaml("- a\n" * (MOST_CHARACTERS // 4))
    assert len(items) == MOST_CHARACTERS // 4
    with pytest.raises(TextError, match="50 levels"):
        parse_yaml("[" * MOST_CHARACTERS)
    assert time.monotonic() - begin < 60
