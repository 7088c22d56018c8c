"""Each saving alone against the stock path of transformers: 3000 frames, whole prompt, no cache."""

import numpy as np
import pytest
import torch

from qsm_core.inference.scoring import InstructionScorer
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.savings import ALL, NONE, Savings
from tests.support.clips import make_clip

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
DURATIONS_MS = (1000, 200, 90, 1000, 330)
CHOICES = {
    "none": NONE,
    "trimmed encoder": Savings(shared_prefix=False),
    "shared prefix": Savings(trimmed_encoder=False, shared_system=False),
    "shared system turn": Savings(trimmed_encoder=False),
    "all": ALL,
}


@pytest.fixture(scope="module")
def clips():
    return [make_clip(seed, ms) for seed, ms in enumerate(DURATIONS_MS)]


def stock_logits(llm, clip):
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": ASK}]
    messages = [
        {"role": "system", "content": "You classify audio content."},
        {"role": "user", "content": user},
    ]
    text = llm.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = llm.processor(text=[text], audio=[clip], sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        return llm.model(**inputs).logits[0, -1].float()


@pytest.fixture(scope="module")
def stock(small_llm, clips):
    return torch.stack([stock_logits(small_llm, clip) for clip in clips])


@pytest.mark.parametrize("name", CHOICES)
def test_each_saving_gives_the_logits_of_the_stock_path(small_llm, clips, stock, name):
    scorer = InstructionScorer(small_llm, savings=CHOICES[name])
    ours = scorer.answer_logits(scorer.encode(clips), ASK)
    assert stock.std() > 0.1
    assert (ours - stock).abs().max() <= 1e-5


def test_answer_rows_give_the_margins_of_the_whole_vocabulary(small_llm, clips):
    whole = InstructionScorer(small_llm)
    rows = InstructionScorer(small_llm, savings=Savings(answer_rows=True))
    features = whole.encode(clips)
    one, two = whole.score(features, ASK), rows.score(features, ASK)
    np.testing.assert_allclose(one.margin, two.margin, atol=1e-5)
    assert (one.labels, one.raw_text) == (two.labels, two.raw_text)
    assert np.isnan(two.answer_mass).all()


@pytest.mark.parametrize("name", list(CHOICES)[1:])
def test_in_bfloat16_the_decisions_are_equal(small_model_folder, clips, name):
    """Rounding is coarse there: the margins differ by some hundredths, the decisions do not."""
    half = load_audio_llm(small_model_folder, device="cpu", dtype="bfloat16")
    many = clips + [make_clip(seed, 500) for seed in range(20, 35)]
    plain, saving = (InstructionScorer(half, savings=s) for s in (NONE, CHOICES[name]))
    one = plain.score(plain.encode(many), ASK)
    two = saving.score(saving.encode(many), ASK)
    difference = np.abs(one.margin - two.margin).max()
    assert difference <= 0.1 * one.margin.std() + 0.05
    sure = np.abs(one.margin) > difference
    assert sure.sum() >= len(many) - 2
    assert [a for a, s in zip(one.labels, sure, strict=True) if s] == [
        b for b, s in zip(two.labels, sure, strict=True) if s
    ]
