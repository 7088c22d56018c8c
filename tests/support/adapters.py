"""LoRA adapters for tests, written as PEFT writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

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


class OlderLayout(nn.Module):
    """An audio LLM with its parts under the names of transformers 4; the parts are shared.

    PEFT around it changes the layers of the model itself, whose forward pass then has the adapter.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.audio_tower = model.model.audio_tower
        self.multi_modal_projector = model.model.multi_modal_projector
        self.language_model = nn.Module()
        self.language_model.model = model.model.language_model
        self.language_model.lm_head = model.lm_head
        self.name_or_path = "Qwen/Qwen2-Audio-7B-Instruct"


def write_older_adapter(folder: Path, model: Any, config: LoraConfig, *, seed: int = 0) -> Path:
    """Put a random adapter around `model` in the older layout with PEFT alone, and save it so."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        adapted = PeftModel(OlderLayout(model), config)
        with torch.no_grad():
            for name, value in adapted.named_parameters():
                if ".lora_B." in name:
                    value.copy_(0.5 * torch.randn(value.shape))
    adapted.eval()
    adapted.save_pretrained(str(folder))
    return folder
