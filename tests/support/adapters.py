"""LoRA adapters for tests, written as PEFT writes them."""

from __future__ import annotations

from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model

from qsm_core.models.audio_llm import load_audio_llm

ATTENTION_OF_THE_LANGUAGE_MODEL = r".*language_model.*\.(q|k|v|o)_proj"


def write_test_adapter(
    folder: Path,
    model_folder: Path,
    *,
    targets: str = ATTENTION_OF_THE_LANGUAGE_MODEL,
    scale: float = 0.5,
    seed: int = 0,
) -> Path:
    """Write an adapter with random weights; with scale 0 every lora_B stays zero."""
    llm = load_audio_llm(model_folder, device="cpu", self_test=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LoraConfig(r=4, lora_alpha=8, target_modules=targets)
        adapted = get_peft_model(llm.model, config)
        with torch.no_grad():
            for name, value in adapted.named_parameters():
                if ".lora_B." in name:
                    value.copy_(scale * torch.randn(value.shape))
    adapted.save_pretrained(str(folder))
    return folder
