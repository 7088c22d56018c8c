"""A model with the sizes of Qwen2-Audio-7B and random weights in a folder: 17 GB in bfloat16."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoProcessor, Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

from qsm_core.models.shape import QWEN2_AUDIO_7B
from qsm_core.models.small_audio_llm import build_small_audio_llm


def build_full_size(folder: Path, texts: Sequence[str]) -> Path:
    """Write the model; it is made on the GPU where there is one, in bfloat16.

    The tokenizer is a small one: its tokens are fewer than the rows of the embedding, and prompts
    have a few more tokens than with the real one.
    """
    shape = QWEN2_AUDIO_7B
    build_small_audio_llm(folder, texts=texts)
    config = Qwen2AudioConfig.from_pretrained(folder)
    for name, value in {
        "d_model": shape.encoder_width,
        "encoder_layers": shape.encoder_layers,
        "encoder_attention_heads": 20,
        "encoder_ffn_dim": shape.encoder_ffn,
    }.items():
        setattr(config.audio_config, name, value)
    for name, value in {
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "intermediate_size": shape.ffn,
        "vocab_size": shape.vocabulary,
        "layer_types": ["full_attention"] * shape.layers,
    }.items():
        setattr(config.text_config, name, value)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = Qwen2AudioForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    generation = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    processor = AutoProcessor.from_pretrained(folder)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    text = json.dumps(generation, indent=2) + "\n"
    (folder / "generation_config.json").write_text(text, encoding="utf-8")
    del model
    if device == "cuda":
        torch.cuda.empty_cache()
    return folder
