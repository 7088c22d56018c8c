import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.prompting.texts.llm_answers import read_answer
from qsm_core.prompting.texts.templates import instruction_texts

ONE = "Is it SPEECH or NONSPEECH?"
TWO = "Say SPEECH for a voice, else NONSPEECH."
DRAFT = "DRAFT: say SPEECH or NONSPEECH, whatever."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (f"<INS>{ONE}</INS>", [ONE]),
        (f"Sure! <ins> {ONE}\n</ins> I hope it helps.", [ONE]),
        (f"<INS>{ONE}</INS>\n<INS>{TWO}</INS>", [ONE, TWO]),
        (f"1. <INS>{ONE}</INS>\n2. <INS>{TWO}</INS>", [ONE, TWO]),
        (f"<INS>{ONE} <INS>{TWO}", [ONE, TWO]),  # nothing was closed
        (f"<INS>{ONE}\n\nI hope it helps.", [ONE]),
        (f"<instruction>{ONE}</instruction>", [ONE]),
        (f'<INS>"{ONE}"</INS>', [ONE]),
        (f"<INS>\n```\n{ONE}\n```\n</INS>", [ONE]),
        (f"<INS>{json.dumps({'instruction': ONE})}</INS>", [ONE]),
        ("<INS>Listen.\n\nSPEECH or NONSPEECH?</INS>", ["Listen. SPEECH or NONSPEECH?"]),
        # thoughts and drafts
        (f"<think>Maybe <INS>no</INS>, 1. no</think><INS>{ONE}</INS>", [ONE]),
        (f"Maybe <INS>{DRAFT}</INS>? No.\n</think>\n\n<INS>{ONE}</INS>", [ONE]),
        (f"1. {DRAFT}\n2. Too vague.\n</think>\n\n{ONE}", [ONE]),
        (f"<think>a</think>{DRAFT}</think>{ONE}", [ONE]),
        (f"[THINK]{DRAFT}[/THINK]{ONE}", [ONE]),
        (f"First <INS>{DRAFT}</INS>, which is vague. Better: <INS>{ONE}</INS>", [ONE]),
        (f"I write it between <INS> and </INS>.\n<INS>{ONE}</INS>", [ONE]),
        (
            f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final"
            f"<|message|>{ONE}<|return|>",
            [ONE],
        ),
        # JSON
        (json.dumps([ONE, TWO]), [ONE, TWO]),
        (f"```json\n{json.dumps([{'instruction': ONE}, {'text': TWO}])}\n```", [ONE, TWO]),
        (f"Here you are:\n{json.dumps({'instructions': [ONE, TWO]})}", [ONE, TWO]),
        (json.dumps({"prompt": ONE, "why": "short"}), [ONE]),
        (json.dumps({"new_instruction": ONE}), [ONE]),
        (json.dumps({"reasoning": TWO, "improved_prompt": ONE}, indent=2), [ONE]),
        (json.dumps({"original_instruction": TWO, "instruction": ONE, "score": 97}), [ONE]),
        (json.dumps({"result": {"steps": 3, "anything": ONE}}), [ONE]),
        (f"It is {json.dumps({'instruction': ONE})}, as requested.", [ONE]),
        (json.dumps([1, None, {"other": ONE}]), [ONE]),
        # lists
        (f"1. {ONE}\n2) {TWO}", [ONE, TWO]),
        (f"1. {ONE}", [ONE]),
        (f"Here are two new instructions:\n\n- {ONE}\n* {TWO}\n\nI hope they help!", [ONE, TWO]),
        (f"PROMPT_1: {ONE}\nPROMPT_2: {TWO}", [ONE, TWO]),
        (f'1. **"{ONE}"**\n2. “{TWO}”', [ONE, TWO]),
        ("1. Is it SPEECH\n   or NONSPEECH?\n", [ONE]),  # an item on two lines
        # labels, introductions, comments
        (f'"{ONE}"', [ONE]),
        (f"Instruction: {ONE}", [ONE]),
        (f"**New instruction:** {ONE}", [ONE]),
        (f"**Prompt**: {ONE}", [ONE]),
        (f"Original instruction: {TWO}\nImproved instruction: {ONE}", [ONE]),
        (f"text:\n{ONE}\nscore:\n97", [ONE]),  # as the prompt shows them
        (f'Here is a new instruction with a higher score:\n\n"{ONE}"\n\nIt is concise.', [ONE]),
        (f"Sure! Here's an improved version: {ONE}", [ONE]),
        (f'Here it is: "{ONE}" It is concise.', [ONE]),
        (f"Certainly!\n\n**Instruction:**\n> {ONE}\n\n**Explanation:** it is short.", [ONE]),
        (f"I suggest this prompt:\n```\n{ONE}\n```\nIt is short.", [ONE]),
        # what is an instruction, and must stay as it is
        ('Say "SPEECH" or "NONSPEECH"', ['Say "SPEECH" or "NONSPEECH"']),
        ('"SPEECH" or "NONSPEECH"?', ['"SPEECH" or "NONSPEECH"?']),
        ("A) SPEECH\nB) NONSPEECH\nAnswer A or B.", ["A) SPEECH B) NONSPEECH Answer A or B."]),
        ("Is it speech?\n\nA) SPEECH\nB) NONSPEECH", ["Is it speech? A) SPEECH B) NONSPEECH"]),
        ("In one word: SPEECH or NONSPEECH?", ["In one word: SPEECH or NONSPEECH?"]),
        ("<INS>Heed this instruction: SPEECH?</INS>", ["Heed this instruction: SPEECH?"]),
        ("I cannot hear it: SPEECH?", []),
    ],
)
def test_the_instruction_alone_is_read(answer, expected):
    assert read_answer(answer).instructions == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "is empty"),
        (" \n\t ", "is empty"),
        ("<INS></INS>", "is empty"),
        ('""', "is empty"),
        (f"<think>I am cut off here, {ONE}", "holds thoughts alone"),
        (f"<|channel|>analysis<|message|>{ONE}", "holds thoughts alone"),
        ("I'm sorry, I cannot tell SPEECH from NONSPEECH.", "declines"),
        (f"I thought about it.\n\n{ONE}", "has 2 paragraphs and no tags"),
        (f"Okay, the clips are short, so {ONE}", "talks about instructions ('Okay')"),
        (f"{ONE} This instruction is better.", "talks about instructions"),
        (f"{ONE} (score: 93)", "'score: 93', which is no part"),
        (f"```\n{ONE}\n```\nor\n```\n{TWO}\n```", "holds 2 fenced blocks"),
        (f"The clips are short.\n1. {ONE}", "holds a list inside a text"),
        (json.dumps({"first": ONE, "second": TWO}), "the keys 'first', 'second', none of which"),
        ('{"instruction": "Is it SPEECH or NONSPEECH?', "looks like JSON that is damaged"),
        ("Like this: {'instruction': 'SPEECH or NONSPEECH'}", "no part of an instruction"),
        ("[1, 2", "looks like JSON"),
        ("{}", "looks like JSON"),
    ],
)
def test_what_is_not_clearly_an_instruction_is_refused_with_a_reason(answer, reason):
    instructions, reasons = read_answer(answer)
    assert instructions == []
    assert reason in reasons[0]


def test_of_an_answer_that_was_cut_off_only_closed_tags_are_taken():
    assert read_answer(f"<INS>{ONE}</INS> because", whole=False).instructions == [ONE]
    for text in (ONE, f"<INS>{ONE}", f"1. {ONE}", json.dumps({"instruction": ONE})):
        assert read_answer(text, whole=False) == ([], ["holds no instruction that was closed"])


def test_one_bad_item_does_not_hide_the_good_ones():
    read = read_answer(f"<INS>{ONE}</INS><INS></INS><INS>{TWO}</INS>")
    assert read == ([ONE, TWO], ["is empty"])


@pytest.mark.parametrize(
    "answer", ["[" * 100_000, '{"a":' * 50_000, "<INS>" * 60_000, "*" * 60_000, "1. x\n" * 60_000]
)
def test_long_nonsense_ends_quickly(answer):
    assert len(read_answer(answer).instructions) <= 64


_PIECES = ["<INS>", "</INS>", "<think>", "</think>", "```", "1. ", "- ", '"', "[", "]", "{", "}"]
_PIECES += ["**", "\n", "\n\n", ONE, "Here is a new prompt:", "Score: 9", '{"instruction": "']


@settings(deadline=None)
@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=8), max_size=20).map("".join))
def test_reading_never_fails_and_gives_plain_lines_or_a_reason(answer):
    instructions, reasons = read_answer(answer)
    assert all(text and text == " ".join(text.split()) for text in instructions)
    assert instructions or reasons


_THOUGHTS = [
    "",
    f"<think>Perhaps <INS>{DRAFT}</INS>? No.</think>\n",
    f"Okay, short clips fail.\n1. {DRAFT}\n2. Too vague.\n</think>\n\n",
    f"[THINK]{json.dumps({'instruction': DRAFT})}[/THINK]",
    f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>",
    f"First I had <INS>{DRAFT}</INS>, which is vague.\n",
]
_BEFORE = [
    "",
    "Sure! ",
    "Here is a new instruction with a higher score:\n\n",
    "**Improved prompt:**\n",
    "Short clips are missed, so it should mention them.\n\n",
    "I suggest the following version: ",
    "I begin with <INS> and end with </INS>.\n",
]
_AFTER = [
    "",
    "\n\nIt is concise and effective.",
    "\nscore:\n97",
    "\n\n**Explanation:** it names SPEECH and NONSPEECH.",
    "\n\nLet me know if it should say SPEECH or NONSPEECH first.",
    f"\n\nOriginal instruction: {TWO}",
]
_FORMS = {
    "plain": "{0}",
    "tags": "<INS>{0}</INS>",
    "lower tags": "<ins>\n{0}\n</ins>",
    "unclosed": "<INS>{0}",
    "quotes": '"{0}"',
    "curly quotes": "“{0}”",
    "bold": "**{0}**",
    "fence": "```text\n{0}\n```",
    "number": "1. {0}",
    "bullet": "- {0}",
    "quoted block": "> {0}",
}
_KEYS = st.sampled_from(
    ["instruction", "new_instruction", "improved_prompt", "Text", "result", "x"]
)


@st.composite
def _wrapped(draw: st.DrawFn) -> tuple[str, str, bool]:
    """Draw an instruction, an answer that holds it, and whether its form must be understood."""
    text = draw(st.sampled_from([*instruction_texts(), ONE, TWO]))
    before, after = draw(st.sampled_from(_BEFORE)), draw(st.sampled_from(_AFTER))
    if draw(st.booleans()):
        value: object = {draw(_KEYS): text}
        if draw(st.booleans()):
            value = {"reasoning": DRAFT, **value, "score": 97}  # type: ignore[dict-item]
        content = json.dumps(value, indent=draw(st.sampled_from([None, 2])))
        form = f"```json\n{content}\n```" if draw(st.booleans()) else content
        sure = True
    else:
        name = draw(st.sampled_from(sorted(_FORMS)))
        form, sure = _FORMS[name].format(text), name in ("tags", "lower tags")
        sure = sure or not (before or after or name == "unclosed")
    thoughts = draw(st.sampled_from(_THOUGHTS))
    if thoughts == _THOUGHTS[-1]:
        sure = form.lower().endswith("</ins>")
    return text, f"{thoughts}{before}{form}{after}", sure and "I begin with" not in before


@settings(deadline=None, max_examples=600)
@given(_wrapped())
def test_an_instruction_comes_out_alone_or_not_at_all(wrapped):
    """Whatever is around it: neither drafts nor words about it are ever scored with it."""
    text, answer, sure = wrapped
    instructions, reasons = read_answer(answer)
    assert instructions in ([text], []), answer
    assert instructions or reasons
    if sure:
        assert instructions == [text], (answer, reasons)
