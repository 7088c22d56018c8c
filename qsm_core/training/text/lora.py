"""LoRA on a causal language model: which of its layers, by their own names."""

from __future__ import annotations

import re
from typing import Any

from peft import LoraConfig, get_peft_model
from torch import nn

from qsm_core.errors import ModelError
from qsm_core.training.text.config import TextTraining

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def put_text_lora(model: Any, config: TextTraining) -> tuple[Any, str]:
    """Wrap a model with an untrained adapter; only the adapter is trainable afterwards.

    Args:
        model: A causal language model.
        config: Targets, rank, alpha, dropout. The random weights come from torch's generator.

    Returns:
        The wrapped model, and the scope: a regular expression of the adapted modules' names.

    Raises:
        ModelError: The model has no layer of the targets.
    """
    names = layer_names(model, config.targets)
    scope = rf".*\.({'|'.join(map(re.escape, names))})"
    adapter = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=scope,
        bias="none",
        task_type="CAUSAL_LM",
    )
    wrapped = get_peft_model(model, adapter)
    if config.gradient_checkpointing:
        # Without reentrance, gradients reach the adapter although no input requires a gradient.
        model.activation_checkpointing_enable({"use_reentrant": False})
    return wrapped, scope


def layer_names(model: Any, targets: str) -> list[str]:
    """Return the last parts of the names of the layers that get LoRA, sorted."""
    output = model.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        # Layers of bitsandbytes are linear layers too.
        if isinstance(module, nn.Linear) and module is not output
    }
    found = sorted(linear if targets == "all-linear" else linear & set(_ATTENTION))
    if not found:
        there = ", ".join(sorted(linear)) or "none"
        raise ModelError(
            f"targets = {targets!r}: the model has no such layer; its linear layers are {there}. "
            "Take targets 'all-linear'"
        )
    return found
