"""The built-in prompts are as many as the study's, and the right answers are right."""

import json

import pytest

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.perturbation.prompts.built_in import TASKS, built_in_prompts
from qsm_core.perturbation.prompts.reading import read_prompts
from qsm_core.perturbation.scoring import is_right, measure_text


def test_there_are_as_many_as_in_the_study():
    counts = {task: len(built_in_prompts([task])) for task in TASKS}
    assert counts == {
        "dreams": 38,
        "math": 25,
        "language": 15,
        "logic": 3,
        "factual": 5,
        "creativity": 2,
        "picture": 20,
    }
    every = built_in_prompts(TASKS)
    assert len({one.prompt_id for one in every}) == len({one.text for one in every}) == 108
    assert {one.task for one in every if one.has_picture} == {"picture"}
    answered = {one.task for one in every if one.answers}
    assert answered == {"math", "language", "logic", "factual"}
    assert all(one.answers for one in every if one.task in answered)


def test_sets_and_tasks_are_asked_once():
    assert len(built_in_prompts(["iq"])) == 50
    assert built_in_prompts(["iq", "math"]) == built_in_prompts(["iq"])
    few = built_in_prompts(["few"])
    assert 4 <= len(few) <= 10
    with pytest.raises(ConfigurationError, match="task = 'dream': allowed are dreams"):
        built_in_prompts(["dream"])


COMPUTED = {
    "What is 7 + 5?": 7 + 5,
    "What is 14 - 6?": 14 - 6,
    "What is 6 times 7?": 6 * 7,
    "What is 81 divided by 9?": 81 // 9,
    "What is 25 + 38?": 25 + 38,
    "What is 100 - 37?": 100 - 37,
    "What is 12 times 11?": 12 * 11,
    "What is half of 90?": 90 // 2,
    "What is 15 % of 200?": 200 * 15 // 100,
    "What is 3 to the power of 4?": 3**4,
    "What is the square root of 144?": 144**0.5,
    "Which number comes next: 2, 4, 8, 16?": 2 * 16,
    "Which number comes next: 5, 10, 15, 20?": 20 + 5,
    "A book costs 8 euros. How much do 5 of them cost?": 5 * 8,
    "Anna has 12 apples and gives 4 away. How many are left?": 12 - 4,
    "A train travels 60 km in one hour. How far does it travel in 3 hours?": 3 * 60,
    "How many minutes are there in 2 hours?": 2 * 60,
    "A rectangle is 4 m long and 3 m wide. What is its area in square metres?": 4 * 3,
    "What is 1000 divided by 8?": 1000 // 8,
    "If x + 9 = 15, what is x?": 15 - 9,
    "If 2x = 18, what is x?": 18 // 2,
    "What is the sum of the numbers from 1 to 10?": sum(range(1, 11)),
    "How many sides do 3 triangles have together?": 3 * 3,
    "What is a quarter of 48?": 48 // 4,
    "Tom is 9. His sister is 4 years older. How old is she?": 9 + 4,
}


def test_right_answers_of_math_are_right():
    prompts = {one.text: one for one in built_in_prompts(["math"])}
    assert set(prompts) == set(COMPUTED)
    for text, value in COMPUTED.items():
        assert prompts[text].answers[0] == str(int(value)), text


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        ("It is 12.", ("12",), True),
        ("= **42**", ("42",), True),
        ("$40", ("40",), True),
        ("x=6", ("6",), True),
        ("It is 12.0", ("12",), True),
        ("Twelve, I think", ("12", "twelve"), True),
        ("The sum is\n12\n", ("12",), True),
        ("312", ("12",), False),
        ("12.5", ("12",), False),
        ("1,200", ("200",), False),
        ("-8", ("8",), False),
        ("\u22128", ("8",), False),
        ("8th", ("8",), False),
        ("", ("12",), False),
        ("MICE!", ("mice",), True),
        ("micelle", ("mice",), False),
        ("No, never", ("yes",), False),
    ],
)
def test_what_is_right(text, answers, expected):
    assert is_right(text, answers) is expected


def test_measures_of_texts():
    found = measure_text("the cat the cat the cat the cat")
    assert found.words == 8
    assert found.distinct_1 == 2 / 8
    assert found.distinct_2 == 2 / 7
    assert found.repeated_4 == 1 - 2 / 5
    assert found.is_right is None
    nothing = measure_text(" ...\n", ("12",))
    assert (nothing.words, nothing.distinct_1, nothing.repeated_4) == (0, None, None)
    assert nothing.is_right is False


def test_prompts_of_all_forms(tmp_path):
    lines = tmp_path / "own.jsonl"
    lines.write_text(
        json.dumps({"text": "What is 1 + 1?", "answers": ["2", "two"], "task": "sums"})
        + "\n\n"
        + json.dumps({"prompt_id": "b", "text": "Look.", "has_picture": True})
    )
    first, second = read_prompts(lines)
    assert (first.prompt_id, first.task, first.answers) == ("prompt_01", "sums", ("2", "two"))
    assert (second.prompt_id, second.task, second.has_picture) == ("b", "own", True)
    table = tmp_path / "own.csv"
    table.write_text('prompt_id,text,answers\na,"One, two",x|y\n')
    (row,) = read_prompts(table)
    assert (row.text, row.answers) == ("One, two", ("x", "y"))
    plain = tmp_path / "own.txt"
    plain.write_text("First\n\nSecond\n")
    assert [one.text for one in read_prompts(plain)] == ["First", "Second"]


def test_every_line_that_cannot_be_used_is_listed(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(
        "\n".join(
            [
                "no json",
                "[1]",
                '{"text": ""}',
                '{"text": "a", "colour": 1}',
                '{"text": "b", "answers": [1]}',
                '{"text": "c", "has_picture": "maybe"}',
                '{"text": "d", "prompt_id": "x"}',
                '{"text": "e", "prompt_id": "x"}',
            ]
        )
    )
    with pytest.raises(DataError) as error:
        read_prompts(path)
    assert [one.split(": ", 1)[0] for one in error.value.problems] == [
        f"{path}, line {number}" for number in (1, 2, 3, 4, 5, 6, 8)
    ]
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(DataError, match="holds no prompt"):
        read_prompts(empty)
    with pytest.raises(DataError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")
