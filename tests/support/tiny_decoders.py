"""Tiny language models of several architectures with random weights, in memory and as folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Rounds of a turn as in Gemma's template: it writes the beginning of the text itself.
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<start_of_image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
_SPECIAL = (
    "<pad>",
    "<eos>",
    "<bos>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<end_of_image>",
    "<image_soft_token>",
)
_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def tiny_decoder(name: str) -> Any:
    """Return gemma3_text, gemma3 (image + text), llama or qwen2, in evaluation mode."""
    import torch
    from transformers import (
        Gemma3Config,
        Gemma3ForCausalLM,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        LlamaConfig,
        LlamaForCausalLM,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    gemma = {**_SIZES, "head_dim": 8, "vocab_size": 300, "sliding_window": 16, "bos_token_id": 2}
    makers = {
        "gemma3_text": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**gemma)),
        "gemma3": lambda: Gemma3ForConditionalGeneration(_gemma3_config(Gemma3Config, gemma)),
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**_SIZES, vocab_size=300)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**_SIZES, vocab_size=300)),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return makers[name]().eval()


def build_tiny_gemma(folder: Path, *, sees: bool = True) -> Path:
    """Write an image + text model with its processor; `sees`: its projector lets pictures pass."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        Gemma3ImageProcessor,
        Gemma3Processor,
        GenerationConfig,
        PreTrainedTokenizerFast,
    )

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=list(_SPECIAL), initial_alphabet=alphabet
    )
    made.train_from_iterator(["Describe everything that you see in this picture."], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        extra_special_tokens={
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
    )
    tokenizer.chat_template = GEMMA_TEMPLATE
    model = tiny_decoder("gemma3")
    if sees:
        with torch.no_grad():
            projection = model.model.multi_modal_projector.mm_input_projection_weight
            projection.copy_(
                torch.randn(projection.shape, generator=torch.Generator().manual_seed(0))
            )
    model.generation_config = GenerationConfig(
        do_sample=True, top_k=3, eos_token_id=[1, 4], pad_token_id=0
    )
    model.save_pretrained(folder)
    images = Gemma3ImageProcessor(size={"height": 28, "width": 28}, do_pan_and_scan=False)
    processor = Gemma3Processor(
        image_processor=images,
        tokenizer=tokenizer,
        chat_template=GEMMA_TEMPLATE,
        image_seq_length=4,
    )
    processor.save_pretrained(folder)
    return folder


def _gemma3_config(kind: Any, text: dict[str, Any]) -> Any:
    vision = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    return kind(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        image_token_index=7,
        boi_token_index=5,
        eoi_token_index=6,
    )
