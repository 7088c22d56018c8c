import pytest
from transformers import AutoProcessor

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.inference.answers import (
    AnswerChoices,
    AnswerFormat,
    answer_choices,
    answer_tokens,
    detect_format,
)
from qsm_core.labels import Label
from tests.support.small_model import build_small_model

SPEECH, NONSPEECH = Label.SPEECH, Label.NONSPEECH


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Answer SPEECH or NONSPEECH.", "labels"),
        ("Reply with ONLY one word: SPEECH or NON-SPEECH.", "labels"),
        ("Is it speech or non speech?", "labels"),
        ("Say NONSPEECH if nobody talks.", "open"),
        ("Is there any speech here?", "open"),
        ("What do you hear?", "open"),
        ("A) SPEECH B) NONSPEECH\nAnswer with A or B ONLY.", "ab"),
        ("Pick: A) voice B) music C) animals D) silence", "mc"),
        ("Which? A) voice B) music C) animals", "ab"),
        ("Is plan A) better than SPEECH or NONSPEECH?", "labels"),
    ],
)
def test_format_is_read_from_the_instruction(instruction, expected):
    assert detect_format(instruction) == expected
    assert answer_choices(instruction).answer_format == expected


@pytest.mark.parametrize(
    ("instruction", "meanings"),
    [
        ("A) SPEECH (human voice) B) NONSPEECH (music/noise/animals)", "SN"),
        ("A) NONSPEECH\nB) SPEECH\nAnswer with A or B ONLY.", "NS"),
        ("A) music; B) someone speaking; C) rain; D) silence", "NSNN"),
        ("A) option one B) option two", "SN"),
        ("A) one B) two C) three D) four", "SNNN"),
        ("A) speech B) speech", "SN"),
    ],
)
def test_option_letters_mean_what_the_options_say(instruction, meanings):
    found = answer_choices(instruction).meanings
    assert "".join(label.value[0] for label in found.values()) == meanings
    assert list(found) == list("ABCD"[: len(meanings)])


def test_a_given_mapping_wins():
    text = "A) SPEECH B) NONSPEECH"
    mapping = {"A": NONSPEECH, "B": SPEECH}
    assert answer_choices(text, "ab", mapping).meanings == mapping
    with pytest.raises(ConfigurationError, match="at least one letter for each label"):
        answer_choices(text, "ab", {"A": SPEECH, "B": SPEECH})


def test_an_unknown_format_is_refused():
    with pytest.raises(ConfigurationError, match="answer_format = 'abc': allowed are auto, labels"):
        answer_choices("Speech?", "abc")


def test_tokens_begin_one_answer_each(small_llm):
    tokenizer = small_llm.tokenizer
    tokens = answer_tokens(tokenizer, answer_choices("Answer SPEECH or NONSPEECH."))
    assert set(tokens.texts) == {"SPEECH", "NONSPEECH"}
    assert len(set(tokens.ids)) == len(tokens.ids)
    for token, text, label in zip(tokens.ids, tokens.texts, tokens.labels, strict=True):
        begun = tokenizer.decode([token])
        assert begun.strip()
        assert text.startswith(begun.lstrip())
        assert label == Label(text)
    # "\nSPEECH" and "\nNONSPEECH" both begin with a line end, which decides nothing.
    (line_end,) = tokenizer("\n").input_ids
    assert line_end not in tokens.ids


def test_white_space_alone_is_no_answer(tmp_path):
    """A vocabulary of bytes: " A" begins with a space, which is no answer and is left out."""
    folder = build_small_model(tmp_path, vocab_size=262)
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    tokens = answer_tokens(tokenizer, answer_choices("A) SPEECH B) NONSPEECH"))
    assert [tokenizer.decode([token]) for token in tokens.ids] == ["A", "B"]


def test_answers_with_a_common_first_token_are_refused(tmp_path):
    folder = build_small_model(tmp_path, vocab_size=262)
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    choices = AnswerChoices(AnswerFormat.LABELS, {"SPEECH": SPEECH, "SILENCE": NONSPEECH})
    with pytest.raises(ModelError, match="'SILENCE' and 'SPEECH' begin with the same token 'S'"):
        answer_tokens(tokenizer, choices)
