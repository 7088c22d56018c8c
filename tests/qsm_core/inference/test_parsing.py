"""The parser against a table of answers, real answers of a 7B model, and any text at all."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.errors import DataError
from qsm_core.inference.claims import MAX_CHARS, words
from qsm_core.inference.parsing import ParseLevel, parse_answer
from qsm_core.labels import Label
from qsm_core.prompting.texts.templates import instruction_texts
from tests.support.published import published_folder

# Written by hand: what a careful reader takes each answer to mean; null where he would ask back.
CASES = json.loads(
    (Path(__file__).parents[2] / "golden" / "parsed_answers.json").read_text(encoding="utf-8")
)


def name(case):
    return f"{case.get('format', 'labels')}:{case['text'][:40]!r}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_answer_means_what_a_reader_takes_it_to_mean(case):
    parsed = parse_answer(case["text"], case.get("format", "labels"), case.get("mapping"))
    assert parsed.label == case["label"], parsed.level
    unread = parsed.level in (ParseLevel.AMBIGUOUS, ParseLevel.NONE)
    assert unread == (parsed.label is None)


@pytest.mark.parametrize(
    ("text", "answer_format", "level"),
    [
        ("NON-SPEECH.", "labels", ParseLevel.LABEL),
        ("The audio does not contain human speech.", "labels", ParseLevel.PHRASE),
        ("B.", "ab", ParseLevel.LETTER),
        ("Yes.", "open", ParseLevel.YES_NO),
        ("SNEEZE", "labels", ParseLevel.KEYWORD),
        ("SPEECH or NONSPEECH", "labels", ParseLevel.AMBIGUOUS),
        ("12345", "labels", ParseLevel.NONE),
    ],
)
def test_level_says_what_decided(text, answer_format, level):
    assert parse_answer(text, answer_format).level is level


@settings(deadline=None)
@given(
    st.text(max_size=300)
    | st.lists(
        st.sampled_from(sorted(words().speech | words().negators | words().hedges | words().sounds))
        | st.sampled_from([".", ",", "?", ":", "A", "B)", "但是", "没有", "<|im_end|>", "\n"]),
        max_size=30,
    ).map(" ".join),
    st.sampled_from(["labels", "ab", "mc", "open", "auto", "something else"]),
)
def test_any_text_gives_an_answer_or_none(text, answer_format):
    parsed = parse_answer(text, answer_format)
    assert parsed.label in (Label.SPEECH, Label.NONSPEECH, None)
    assert parse_answer(text, answer_format) == parsed


@settings(deadline=None)
@given(st.sampled_from(["SPEECH", "NONSPEECH"]), st.text(" \n\t.!*\"'`", max_size=8))
def test_punctuation_around_a_label_changes_nothing(label, around):
    assert parse_answer(f"{around} {label} {around}").label == label


def test_a_very_long_answer_is_read_by_its_beginning():
    assert parse_answer("SPEECH. " + "la " * 1_000_000).label is Label.SPEECH
    assert parse_answer(" " * MAX_CHARS + "SPEECH").label is None


def test_an_echo_of_the_baseline_instruction_is_no_answer():
    assert parse_answer(instruction_texts()[0]).label is None


def test_a_mapping_with_a_word_that_is_no_label_is_refused():
    with pytest.raises(DataError, match="'perhaps'"):
        parse_answer("A", "ab", {"A": "perhaps"})


def test_real_answers_of_the_7b_model():
    """1,152 raw answers. The predictions beside them are `p_first_token >= 0.5`, whatever the text.

    So they can only be right where that threshold and the text say the same; there, every one of
    them is what the parser reads. In the other 152 rows the record contradicts its own text.
    """
    frame = pd.read_csv(published_folder() / "old_format_base_predictions.csv.gz")
    read = frame["raw_output"].map(lambda text: parse_answer(text).label)
    assert read.notna().all()
    thresholded = (frame["p_first_token"] >= 0.5).map({True: "SPEECH", False: "NONSPEECH"})
    assert (thresholded == frame["prediction"]).all()
    plain_speech = frame["raw_output"] == "SPEECH"
    assert ((read == "SPEECH") == plain_speech).all()
    consistent = plain_speech == (frame["p_first_token"] >= 0.5)
    assert (read[consistent] == frame["prediction"][consistent]).all()
    assert (consistent.sum(), (~consistent).sum()) == (1000, 152)
    both = pd.read_csv(published_folder() / "old_format_predictions_with_probs.csv.gz")
    assert both["raw_output"].map(lambda text: parse_answer(text).label).notna().all()
