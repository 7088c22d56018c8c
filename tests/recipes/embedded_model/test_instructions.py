"""The instructions that the embedded model is trained on."""

from __future__ import annotations

from collections import Counter

import numpy as np

from qsm_core.inference.answers import detect_format
from qsm_core.models.architectures import QWEN2_AUDIO
from qsm_core.models.small_audio_llm import special_tokens, train_tokenizer
from qsm_core.prompting.texts.templates import baseline, templates
from recipes.embedded_model.instructions import BASELINE_TEXT, draw_instruction, sample_texts
from recipes.embedded_model.wordings import KINDS, SLOTS


def drawn(count=3000):
    rng = np.random.default_rng(0)
    return [draw_instruction(rng) for _ in range(count)]


def test_every_format_is_taught():
    formats = Counter(str(detect_format(instruction.text)) for instruction in drawn())
    assert set(formats) == {"labels", "ab", "mc", "open"}
    assert formats["labels"] > formats["ab"] > formats["open"] > 0


def test_no_slot_is_left_open():
    for instruction in drawn():
        assert "{" not in instruction.text
        assert -1 < instruction.criterion < 1


def test_letters_stand_for_what_their_options_say():
    for instruction in drawn():
        if str(detect_format(instruction.text)) == "ab":
            letter = instruction.speech_answers[0]
            option = instruction.text.split(f"{letter}) ")[1].split("\n")[0]
            assert not option.startswith(("NONSPEECH", "no ", "other", "everything"))


def test_baseline_question_is_trained_and_the_templates_are_not():
    texts = {instruction.text for instruction in drawn(20_000)}
    assert baseline().text == BASELINE_TEXT
    assert BASELINE_TEXT in texts
    held_out = [template for template in templates() if template.text not in texts]
    assert len(held_out) >= 12  # two very short ones are hard to miss


def test_answers_are_single_tokens_that_differ():
    tokenizer = train_tokenizer(
        sample_texts(np.random.default_rng(1), 1500), 1400, special_tokens(QWEN2_AUDIO)
    )
    firsts = [tokenizer(word)["input_ids"] for word in ("SPEECH", "NONSPEECH", "A", "B", "C", "D")]
    assert all(len(ids) == 1 for ids in firsts)
    assert len({ids[0] for ids in firsts}) == 6


def test_every_kind_has_wordings_with_known_slots():
    filled = {name: words[0] for name, words in SLOTS.items()}
    for kind in KINDS.values():
        for wording in kind.wordings:
            assert wording.format(**filled)
