"""A tiny Llama with random weights that knows the words of made cases: real classes, in a second.

Not a fixture: whoever needs one says where.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.small_text_model import _TEMPLATE


def build_small_llama(folder: Path, texts: list[str], *, template: str | None = _TEMPLATE) -> Path:
    """Write a complete Llama of two layers whose tokenizer was trained on `texts`."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from qsm_core.models.architectures import QWEN2_AUDIO
    from qsm_core.models.small_audio_llm import special_tokens, train_tokenizer

    tokenizer = train_tokenizer(texts, 1200, special_tokens(QWEN2_AUDIO))
    tokenizer.chat_template = template
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=end,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=end)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
