"""A small Qwen2 text model with random weights: the real classes, tokenizer and chat template."""

from __future__ import annotations

from pathlib import Path

import pytest

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_small_text_model(folder: Path) -> Path:
    """Write a complete Qwen2 model of two layers."""
    import torch
    from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

    from qsm_core.models.architectures import QWEN2_AUDIO
    from qsm_core.models.small_audio_llm import special_tokens, train_tokenizer
    from qsm_core.prompting.texts.templates import instruction_texts

    tokenizer = train_tokenizer(instruction_texts(), 400, special_tokens(QWEN2_AUDIO))
    tokenizer.chat_template = _TEMPLATE
    ends = [tokenizer.convert_tokens_to_ids(one) for one in ("<|im_end|>", "<|endoftext|>")]
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        bos_token_id=None,
        eos_token_id=ends,
        pad_token_id=ends[1],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=True, top_p=0.8, top_k=20, eos_token_id=ends, pad_token_id=ends[1]
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small_text_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small text model, built once a test session."""
    return build_small_text_model(tmp_path_factory.mktemp("small_text_model") / "model")
