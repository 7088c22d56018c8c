"""A Llama of two layers with random weights, which ends most texts after a few tokens.

One in twenty of its vocabulary ends a text, so attempts end by themselves, each at another place.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.product_owner import write_task
from tests.support.small_text_model import _TEMPLATE

CHECKS = """\
from qsm_core.acceptance.answers.record import Breach
from qsm_core.acceptance.rubrics.score import Score


def rubric(case, answer):
    return Score(1.0 if answer.is_valid else 0.0)


def contract(case, answer):
    if case.inputs["country"].startswith("Never"):
        return Breach("not_this_one", "is never valid")
"""


def build_tiny_llama(folder: Path, *, hidden: int = 64) -> Path:
    """Write a complete model, tied as SmolLM2 is."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from qsm_core.models.architectures import QWEN2_AUDIO
    from qsm_core.models.small_audio_llm import special_tokens, train_tokenizer
    from qsm_core.prompting.texts.templates import instruction_texts

    tokenizer = train_tokenizer(instruction_texts(), 400, special_tokens(QWEN2_AUDIO))
    tokenizer.chat_template = _TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    ends = list(range(0, len(tokenizer), 20))
    model.generation_config = GenerationConfig(
        do_sample=True, top_k=2, repetition_penalty=5.0, eos_token_id=ends
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_tiny_adapter(folder: Path, model_folder: Path, *, scale: float = 0.5) -> Path:
    """Write a LoRA adapter of all linear layers, with random weights."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        adapted = get_peft_model(model, LoraConfig(r=4, target_modules="all-linear"))
        with torch.no_grad():
            for name, value in adapted.named_parameters():
                if ".lora_B." in name:
                    value.copy_(scale * torch.randn(value.shape))
    adapted.save_pretrained(str(folder))
    return folder


def write_text_task(folder: Path) -> Path:
    """Write a task for which any text will do, but for cases whose country begins with Never."""
    write_task(
        folder,
        prompt={"template": "prompt.jinja", "reminder": "reminder.jinja"},
        parts=[{"name": "text", "kind": "text"}],
        rubrics={"valid": "checks.py:rubric"},
        rubric="valid",
        contracts={"mostly": "checks.py:contract"},
        contract="mostly",
    )
    (folder / "reminder.jinja").write_text("Answer in one word.\n")
    (folder / "checks.py").write_text(CHECKS)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model, built once a test session."""
    return build_tiny_llama(tmp_path_factory.mktemp("tiny_llama") / "model")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an adapter of the model."""
    return write_tiny_adapter(tmp_path_factory.mktemp("tiny_adapter") / "adapter", tiny_llama)
