import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.prompting.texts.llm_answers import read_instructions

ONE = "Is it SPEECH or NONSPEECH?"
TWO = "Say SPEECH for a voice, else NONSPEECH."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"<INS>{ONE}</INS>", [ONE]),
        (f"Sure! <ins> {ONE}\n</ins> I hope it helps.", [ONE]),
        (f"<INS>{ONE}</INS>\n<INS>{TWO}</INS>", [ONE, TWO]),
        (f"<INS>{ONE} <INS>{TWO}", [ONE, TWO]),  # nothing was closed
        (f"<think>Maybe <INS>no</INS>, 1. no</think><INS>{ONE}</INS>", [ONE]),
        ("<think>I am cut off here, SPEECH or", []),
        (json.dumps([ONE, TWO]), [ONE, TWO]),
        (f"```json\n{json.dumps([{'instruction': ONE}, {'text': TWO}])}\n```", [ONE, TWO]),
        (f"Here you are:\n{json.dumps({'instructions': [ONE, TWO]})}", [ONE, TWO]),
        (json.dumps({"prompt": ONE, "why": "short"}), [ONE]),
        (json.dumps([1, None, {"other": ONE}]), ['[1, null, {"other": "' + ONE + '"}]']),
        (f"1. {ONE}\n2) {TWO}", [ONE, TWO]),
        (f"Here are two:\n\n- {ONE}\n* {TWO}\n", [ONE, TWO]),
        (f"PROMPT_1: {ONE}\nPROMPT_2: {TWO}", [ONE, TWO]),
        (f'1. **"{ONE}"**\n2. “{TWO}”', [ONE, TWO]),
        ("1. Is it SPEECH\n   or NONSPEECH?\n", [ONE]),  # an item on two lines
        (f'"{ONE}"', [ONE]),
        (f"Instruction: {ONE}", [ONE]),
        (f"**New instruction:** {ONE}", [ONE]),
        (f"**Prompt**: {ONE}", [ONE]),
        ('Say "SPEECH" or "NONSPEECH"', ['Say "SPEECH" or "NONSPEECH"']),
        ("A) SPEECH\nB) NONSPEECH\nAnswer A or B.", ["A) SPEECH B) NONSPEECH Answer A or B."]),
        ("I cannot help with that.", ["I cannot help with that."]),
        ("[1, 2", ["[1, 2"]),
        ("", []),
        (" \n\t ", []),
        ("<INS></INS>", ["<INS></INS>"]),
        ('""', []),
    ],
)
def test_every_form_of_answer_is_read(answer, expected):
    assert read_instructions(answer) == expected


@pytest.mark.parametrize(
    "answer", ["[" * 100_000, '{"a":' * 50_000, "<INS>" * 60_000, "*" * 60_000, "1. x\n" * 60_000]
)
def test_long_nonsense_ends_quickly(answer):
    assert len(read_instructions(answer)) <= 64


_PIECES = ["<INS>", "</INS>", "<think>", "```", "1. ", "- ", '"', "[", "]", "{", "**", "\n", ONE]


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=8), max_size=20).map("".join))
def test_reading_never_fails_and_gives_plain_lines(answer):
    found = read_instructions(answer)
    assert all(text and text == " ".join(text.split()) for text in found)
