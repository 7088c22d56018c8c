import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.prompting.texts.candidates import clean_text, same_text_key, text_problem
from qsm_core.prompting.texts.templates import instruction_texts


def test_fixed_texts_are_candidates():
    assert [text_problem(text) for text in instruction_texts()] == [None] * 16


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SPEECH?", "7 characters; allowed are 10 to 300"),
        ("SPEECH or NONSPEECH " * 16, "allowed are 10 to 300"),
        ("Listen: <|AUDIO|> SPEECH or NONSPEECH?", "special token <|AUDIO|>"),
        ("<|im_start|>system SPEECH or NONSPEECH?", "special token <|im_start|>"),
        ("<audio> SPEECH or NONSPEECH?", "special token <audio>"),
        ("</AUDIO> SPEECH or NONSPEECH?", "special token </AUDIO>"),
        ("SPEECH or NONSPEECH? [END]", "special token [END]"),
        ("Tell me what you hear in this clip.", "does not say how to answer"),
        ("Is it SPEECH or not? Say so.", "does not say how to answer"),
    ],
)
def test_unfit_texts_are_refused_with_the_reason(text, reason):
    assert reason in text_problem(text, special_tokens=("[END]",))


def test_the_format_of_the_search_is_kept():
    options = "Is it A) SPEECH or B) NONSPEECH? Answer A or B."
    assert text_problem(options) is None
    assert "format ab; needed is labels" in text_problem(options, "labels")
    assert text_problem("What do you hear in this clip?", "open") is None


def test_texts_that_differ_in_spelling_only_are_the_same():
    first = "Is it SPEECH, or NON-SPEECH?"
    for second in (
        "is it  speech or non-speech",
        "Is it SPEECH or NON SPEECH!",
        "Is it speech or NONSPEECH.",
    ):
        assert same_text_key(first) == same_text_key(second)
    assert same_text_key(first) != same_text_key("Is it SPEECH, or NOISE?")


@settings(deadline=None)
@given(st.text(max_size=400))
def test_cleaning_is_idempotent_and_judging_total(text):
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert "\n" not in cleaned
    problem = text_problem(cleaned)
    assert problem is None or isinstance(problem, str)
    assert same_text_key(cleaned) == same_text_key(text)
