import hashlib

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, Qwen2AudioForConditionalGeneration

from qsm_core.errors import ConfigurationError
from qsm_core.models.architectures import QWEN2_AUDIO
from qsm_core.models.small_audio_llm import special_tokens
from tests.support.small_model import build_small_model

MESSAGES = [
    {"role": "system", "content": "You classify audio content."},
    {
        "role": "user",
        "content": [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": "Speech?"}],
    },
]
PROMPT = (
    "<|im_start|>system\nYou classify audio content.<|im_end|>\n"
    "<|im_start|>user\nAudio 1: <|audio_bos|><|AUDIO|><|audio_eos|>\nSpeech?<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_loads_offline_with_the_stock_classes_and_answers(small_model_folder):
    processor = AutoProcessor.from_pretrained(small_model_folder)
    model = Qwen2AudioForConditionalGeneration.from_pretrained(small_model_folder)
    prompt = processor.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    clip = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    inputs = processor(text=[prompt], audio=[clip], sampling_rate=16_000, return_tensors="pt")
    assert (inputs["input_ids"] == model.config.audio_token_id).sum() == 25
    assert inputs["input_features"].shape == (1, 128, 3000)
    with torch.inference_mode():
        logits = model(**inputs).logits
    assert logits.shape[-1] == len(processor.tokenizer)
    assert torch.isfinite(logits).all()


def test_chat_format_is_that_of_qwen2_audio(small_model_folder):
    processor = AutoProcessor.from_pretrained(small_model_folder)
    rendered = processor.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert rendered == PROMPT
    answered = [*MESSAGES[1:], {"role": "assistant", "content": "A"}]
    for messages in (MESSAGES, answered):
        stock = processor.apply_chat_template(
            messages, tokenize=False, chat_template=processor.default_chat_template
        )
        assert processor.apply_chat_template(messages, tokenize=False) == stock


def test_tokenizer_round_trips_any_text_and_keeps_special_tokens_whole(small_model_folder):
    tokenizer = AutoProcessor.from_pretrained(small_model_folder).tokenizer
    text = "Speech? 12 clips,\n\tñandú 人类的语音 <|AUDIO|><|im_end|>"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
    for token in special_tokens(QWEN2_AUDIO):
        assert len(tokenizer(token).input_ids) == 1
    assert tokenizer.padding_side == "left"


def test_the_seed_alone_decides_the_weights(tmp_path):
    torch.manual_seed(1)
    first = build_small_model(tmp_path / "a", seed=3)
    state = torch.random.get_rng_state()
    second = build_small_model(tmp_path / "b", seed=3)
    other = build_small_model(tmp_path / "c", seed=4)
    assert torch.equal(state, torch.random.get_rng_state())
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        assert digest(first / name) == digest(second / name), name
    assert digest(first / "model.safetensors") != digest(other / "model.safetensors")


def test_sizes_that_make_no_model_are_reported_together(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        build_small_model(tmp_path, vocab_size=100, encoder_dim=33, text_dim=34, heads=4)
    assert len(caught.value.problems) == 3
    assert "vocab_size = 100: at least 262" in caught.value.problems
