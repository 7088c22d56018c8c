import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from qsm_core.errors import ConfigurationError, ModelError
from qsm_core.inference.config import DEFAULT_SYSTEM_PROMPT
from qsm_core.labels import Label
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.encoder import encode_clips
from qsm_core.training.examples import (
    IGNORED,
    ExampleMaker,
    collate,
    draw_instructions,
    training_answers,
)
from qsm_core.training.trainer import answer_loss
from tests.support.clips import make_clip

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
ASK_AB = "Is it A) SPEECH or B) NONSPEECH? Answer with A or B ONLY."


@pytest.fixture(scope="module")
def llm(small_model_folder):
    return load_audio_llm(small_model_folder, device="cpu")


def maker(llm, *instructions, answer_format="auto"):
    return ExampleMaker(llm, instructions, answer_format, DEFAULT_SYSTEM_PROMPT)


@pytest.mark.parametrize(
    ("instruction", "label", "answer"),
    [
        (ASK, Label.SPEECH, "SPEECH"),
        (ASK, Label.NONSPEECH, "NONSPEECH"),
        (ASK_AB, Label.SPEECH, "A"),
        (ASK_AB, Label.NONSPEECH, "B"),
    ],
)
def test_loss_sees_the_answer_and_its_end_of_turn_and_nothing_else(llm, instruction, label, answer):
    example = maker(llm, instruction).make(instruction, label, 5)
    seen = [token for token in example.labels if token != IGNORED]
    assert llm.tokenizer.decode(seen) == f"{answer}<|im_end|>"
    first = example.labels.index(seen[0])
    assert set(example.labels[:first]) == {IGNORED}
    assert example.labels[first:] == example.token_ids[first:]
    prompt = llm.tokenizer.decode(example.token_ids[:first])
    assert prompt.endswith("<|im_start|>assistant\n")
    assert instruction in prompt
    assert example.token_ids.count(llm.audio_token_id) == 5


def test_loss_is_the_answers_negative_log_probability_in_the_stock_model(llm):
    """Two clips of different length, padded to one batch, against the stock forward pass."""
    clips = [make_clip(1, 200), make_clip(2, 480)]
    labels = [Label.SPEECH, Label.NONSPEECH]
    features = encode_clips(llm, clips)
    rows = [
        {"token_ids": e.token_ids, "labels": e.labels, "weight": e.weight, "audio": feature}
        for e, feature in (
            (maker(llm, ASK).make(ASK, label, len(feature)), feature)
            for label, feature in zip(labels, features, strict=True)
        )
    ]
    expected = [
        _stock_loss(llm, clip, label.value) for clip, label in zip(clips, labels, strict=True)
    ]
    batch = collate(rows, llm.tokenizer.pad_token_id)
    with torch.no_grad():
        loss = float(answer_loss(llm, batch, "refuse"))
    assert loss == pytest.approx(sum(expected) / 2, rel=1e-4)
    with torch.no_grad():  # waveforms instead of embeddings: the encoder runs in the step
        batch["audio"] = clips
        assert float(answer_loss(llm, batch, "refuse")) == pytest.approx(loss, rel=1e-5)


def _stock_loss(llm, clip, answer):
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": ASK}]
    messages = [
        {"role": "system", "content": DEFAULT_SYSTEM_PROMPT},
        {"role": "user", "content": user},
    ]
    prompt = llm.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    text = f"{prompt}{answer}<|im_end|>"
    inputs = llm.processor(text=[text], audio=[clip], sampling_rate=16_000, return_tensors="pt")
    count = len(llm.tokenizer(f"{answer}<|im_end|>")["input_ids"])
    with torch.no_grad():
        log_probs = llm.model(**inputs).logits[0].log_softmax(dim=-1)
    targets = inputs["input_ids"][0, -count:]
    return float(-log_probs[-count - 1 : -1][torch.arange(count), targets].sum())


def test_an_answer_that_is_not_found_behind_the_prompt_is_an_error(llm):
    processor = load_audio_llm(llm.model.config._name_or_path, device="cpu").processor
    processor.chat_template = processor.chat_template.replace('"<|im_end|>\\n"', '" over\\n"')
    with pytest.raises(ModelError, match="'SPEECH' was not found behind the prompt"):
        maker(dataclasses.replace(llm, processor=processor), ASK)


def test_instructions_without_one_answer_a_label_are_refused():
    with pytest.raises(ConfigurationError, match="0 answers mean SPEECH"):
        training_answers("What do you hear?", "auto")
    four = "A) speech B) music C) noise D) silence"
    with pytest.raises(ConfigurationError, match="3 answers mean NONSPEECH"):
        training_answers(four, "auto")


def test_each_rendering_has_its_own_instruction_whatever_the_order():
    plan = pd.DataFrame({"clip_id": [f"c{i}" for i in range(60)], "condition": "clean"})
    drawn = draw_instructions(plan, ["one", "two"], seed=3)
    backwards = draw_instructions(plan[::-1], ["one", "two"], seed=3)
    assert drawn == backwards[::-1]
    assert 15 < drawn.count("one") < 45
    assert drawn != draw_instructions(plan, ["one", "two"], seed=4)


def test_padding_is_behind_and_masked():
    rows = [
        {"token_ids": (5, 6, 7), "labels": (IGNORED, 6, 7), "weight": 1.0, "audio": np.zeros(1)},
        {"token_ids": (8,), "labels": (8,), "weight": 2.0, "audio": np.zeros(2)},
    ]
    batch = collate(rows, pad_token_id=0)
    assert batch["token_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["weight"].tolist() == [1, 2]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [8, IGNORED, IGNORED]]
    assert [len(audio) for audio in batch["audio"]] == [1, 2]
