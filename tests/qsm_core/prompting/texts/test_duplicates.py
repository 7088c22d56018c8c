import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.prompting.texts.duplicates import KnownTexts
from qsm_core.prompting.texts.templates import instruction_texts


def known(*texts):
    found = KnownTexts()
    for text in texts:
        found.add(text)
    return found


def test_spelling_makes_no_new_text_and_the_earlier_one_is_named():
    texts = known("Who speaks? SPEECH or NONSPEECH.", "Is it SPEECH, or NON-SPEECH?")
    assert texts.twin_of("is it  speech or nonspeech!") == "was there before: candidate 1"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Classify this audio: SPEECH or NON-SPEECH.", 0),
        ("Which label fits? SPEECH or NONSPEECH? Listen to the whole clip.", 1),
        ("Classify this music as SPEECH or NON-SPEECH.", None),
        ("Say what you hear: SPEECH or NONSPEECH.", None),
        ("", None),
    ],
)
def test_texts_that_are_nearly_the_same_are_found(text, number):
    texts = known(
        "Classify this audio as SPEECH or NON-SPEECH.",
        "Listen to the whole clip. Which label fits? SPEECH or NONSPEECH?",
    )
    found = texts.twin_of(text)
    assert (found is not None and found.startswith(f"nearly candidate {number}: cosine")) == (
        number is not None
    )


def test_fixed_texts_are_no_twins():
    texts = KnownTexts()
    for text in instruction_texts():
        assert texts.twin_of(text) is None
        texts.add(text)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.text(max_size=20), max_size=3), st.text(max_size=20))
def test_every_text_is_its_own_twin_and_any_text_is_judged(texts, text):
    found = known(*texts)
    assert found.twin_of(text) is None or texts
    found.add(text)
    assert found.twin_of(text).startswith("was there before")
