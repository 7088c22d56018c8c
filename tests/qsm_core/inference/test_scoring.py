import dataclasses

import numpy as np
import pytest
import torch

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.inference.answers import answer_choices, answer_tokens
from qsm_core.inference.parsing import parse_answer
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.labels import Label
from tests.support.clips import make_clip

LABELS = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
AB = "A) SPEECH (human voice) B) NONSPEECH (music, noise)\nAnswer with A or B ONLY."
MC = "A) speech B) music C) noise D) silence"
OPEN = "What do you hear?"
# From two audio tokens on: the stock `generate` fails on a clip of one (its legacy path).
DURATIONS_MS = (1000, 200, 90, 1000, 330, 200, 1000, 90, 510, 1000)


@pytest.fixture(scope="module")
def clips():
    return [make_clip(seed, ms) for seed, ms in enumerate(DURATIONS_MS)]


@pytest.fixture(scope="module")
def scorer(small_llm):
    return InstructionScorer(small_llm)


@pytest.fixture(scope="module")
def features(scorer, clips):
    return scorer.encode(clips)


def stock_inputs(llm, clip, instruction):
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": instruction}]
    messages = [
        {"role": "system", "content": "You classify audio content."},
        {"role": "user", "content": user},
    ]
    text = llm.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return llm.processor(text=[text], audio=[clip], sampling_rate=16_000, return_tensors="pt")


@pytest.mark.parametrize("instruction", [LABELS, AB, MC])
def test_scoring_is_the_first_step_of_constrained_generation(
    small_llm, scorer, features, clips, instruction
):
    scores = scorer.score(features, instruction)
    tokens = answer_tokens(small_llm.tokenizer, answer_choices(instruction))
    for row, clip in enumerate(clips):
        inputs = stock_inputs(small_llm, clip, instruction)
        output = small_llm.model.generate(
            **inputs,
            max_new_tokens=1,
            prefix_allowed_tokens_fn=lambda batch, ids: list(tokens.ids),
            output_scores=True,
            return_dict_in_generate=True,
        )
        chances = output.scores[0][0].double().softmax(dim=0)  # zero for all other tokens
        speech = sum(
            float(chances[token])
            for token, label in zip(tokens.ids, tokens.labels, strict=True)
            if label is Label.SPEECH
        )
        assert scores.p_speech[row] == pytest.approx(speech, abs=1e-6)
        assert scores.labels[row] == (Label.SPEECH if speech > 0.5 else Label.NONSPEECH)
        generated = tokens.texts[tokens.ids.index(int(output.sequences[0, -1]))]
        assert scores.raw_text[row] == generated


def test_scores_agree_among_themselves(scorer, features):
    scores = scorer.score(features, LABELS)
    assert scores.answer_format == "labels"
    np.testing.assert_allclose(scores.p_speech, 1 / (1 + np.exp(-scores.margin)))
    assert [label is Label.SPEECH for label in scores.labels] == list(scores.margin > 0)
    assert set(scores.parse_level) == {"constrained"}
    assert ((scores.answer_mass > 0) & (scores.answer_mass < 1)).all()
    assert len(set(scores.margin.round(6))) == len(DURATIONS_MS)


def greedy_tokens(llm, clip, count):
    inputs = stock_inputs(llm, clip, OPEN)
    output = llm.model.generate(**inputs, max_new_tokens=count)
    return output[0, inputs["input_ids"].size(1) :].tolist()


def test_open_answers_are_those_of_greedy_generation(small_llm, features, clips):
    scores = InstructionScorer(small_llm, max_new_tokens=12).score(features, OPEN)
    assert scores.answer_format == "open"
    for row, clip in enumerate(clips):
        ids = greedy_tokens(small_llm, clip, 12)
        text = small_llm.tokenizer.decode(ids, skip_special_tokens=True).strip()
        assert scores.raw_text[row] == text
        parsed = parse_answer(text, "open")
        assert (scores.labels[row], scores.parse_level[row]) == (parsed.label, parsed.level)
    assert np.isnan(scores.p_speech).all()
    assert len(set(scores.raw_text)) > 1


def test_open_answers_end_at_the_end_token(small_llm, features, clips):
    """A token that the model says in the middle of its first answer is made the end token."""
    said = greedy_tokens(small_llm, clips[0], 12)
    end = next(token for token in said if token not in said[:3])
    expected = small_llm.tokenizer.decode(said[: said.index(end)]).strip()
    settings = small_llm.core.generation_config
    before = settings.eos_token_id
    try:
        settings.eos_token_id = end
        scores = InstructionScorer(small_llm, max_new_tokens=12).score(features, OPEN)
    finally:
        settings.eos_token_id = before
    assert scores.raw_text[0] == expected
    assert len(scores.raw_text[2]) > 0


def test_many_instructions_give_the_bits_of_each_alone(scorer, features):
    instructions = [LABELS, OPEN, AB, MC, LABELS]
    together = scorer.score_many(features, instructions)
    for instruction, scores in zip(instructions, together, strict=True):
        alone = scorer.score(features, instruction)
        for field in dataclasses.fields(scores):
            np.testing.assert_array_equal(getattr(scores, field.name), getattr(alone, field.name))
    assert not np.array_equal(together[0].margin, together[2].margin)
    assert scorer.score_many(features, []) == []


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_decisions_do_not_depend_on_the_batch_size(small_llm, scorer, clips, features, batch_size):
    other = InstructionScorer(small_llm, batch_size=batch_size)
    for instruction in (LABELS, AB):
        one, two = (
            scorer.score(features, instruction),
            other.score(other.encode(clips), instruction),
        )
        assert one.labels == two.labels
        np.testing.assert_allclose(one.margin, two.margin, atol=1e-5)


def test_results_keep_the_order_of_the_clips(scorer, clips, features):
    order = np.random.default_rng(0).permutation(len(clips))
    shuffled = scorer.encode([clips[row] for row in order])
    expected = scorer.score(features, LABELS)
    np.testing.assert_allclose(
        scorer.score(shuffled, LABELS).margin, expected.margin[order], atol=1e-5
    )
    taken = scorer.score(features.take(order), LABELS)
    np.testing.assert_allclose(taken.margin, expected.margin[order], atol=1e-5)
    assert [expected.labels[row] for row in order] == taken.labels


def test_the_same_call_gives_the_same_bits(scorer, clips, features):
    again = scorer.score(scorer.encode(clips), LABELS)
    np.testing.assert_array_equal(again.margin, scorer.score(features, LABELS).margin)


def test_progress_ends_at_the_total(scorer, clips):
    reported = []
    features = scorer.encode(clips, report=lambda *event: reported.append(event))
    assert reported[-1] == (len(clips), len(clips), "clips encoded")
    scorer.score(features, LABELS, report=lambda *event: reported.append(event))
    assert reported[-1] == (len(clips), len(clips), "clips scored")


def test_the_system_prompt_takes_part(small_llm, scorer, features):
    other = InstructionScorer(small_llm, system_prompt="You hear nothing.").score(features, LABELS)
    assert np.abs(other.margin - scorer.score(features, LABELS).margin).max() > 1e-3


def test_a_batch_too_large_for_the_memory_is_halved(small_llm, scorer, clips, features):
    """The audio tower refuses more than two clips, as a full GPU would."""

    def refuse(module, arguments):
        if len(arguments[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    tight = InstructionScorer(small_llm, batch_size=16)
    hook = small_llm.core.model.audio_tower.conv1.register_forward_pre_hook(refuse)
    try:
        encoded = tight.encode(clips)
    finally:
        hook.remove()
    # Halved from what was tried, the 4 or 5 clips of one length, not from the limit of 16.
    assert (tight.limit.size, tight.limit.halvings) == (2, 1)
    expected = scorer.score(features, LABELS)
    assert tight.score(encoded, LABELS).labels == expected.labels


def test_one_clip_that_does_not_fit_is_an_error_with_advice(small_llm, clips):
    def refuse(module, arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    hook = small_llm.core.model.audio_tower.conv1.register_forward_pre_hook(refuse)
    try:
        with pytest.raises(ModelError, match=r"one clip does not fit into memory: .* 'nf4'"):
            InstructionScorer(small_llm).encode(clips)
    finally:
        hook.remove()


def test_other_errors_of_the_model_pass_through(small_llm, clips):
    def fail(module, arguments):
        raise RuntimeError("illegal instruction")

    hook = small_llm.core.model.audio_tower.conv1.register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="illegal instruction"):
            InstructionScorer(small_llm).encode(clips)
    finally:
        hook.remove()


def test_settings_that_cannot_work_are_refused(small_llm, features):
    with pytest.raises(ConfigurationError, match="batch_size = 0: at least 1"):
        InstructionScorer(small_llm, batch_size=0)
    with pytest.raises(ConfigurationError, match="the instruction is blank"):
        InstructionScorer(small_llm).score(features, " ")
