"""The ways to compute attention, and which of them this machine can use."""

from __future__ import annotations

from typing import get_args

import torch
from transformers.utils import is_flash_attn_2_available

from qsm_core.errors import ConfigurationError
from qsm_core.models.attention_names import AttentionName
from qsm_core.models.device import Placement

ATTENTION = get_args(AttentionName)


def check_attention(name: str, placement: Placement) -> None:
    """Refuse a way to compute attention that does not exist or cannot be used here.

    Raises:
        ConfigurationError: The name is unknown, or something that it needs is missing.
    """
    problem = None
    if name not in ATTENTION:
        problem = f"allowed are {', '.join(map(repr, ATTENTION))}"
    elif name == "flash_attention_2":
        problem = _why_no_flash(placement)
    if problem is not None:
        raise ConfigurationError("the model cannot be loaded", [f"attention = {name!r}: {problem}"])


def _why_no_flash(placement: Placement) -> str | None:
    if placement.device.type != "cuda":
        return f"needs a CUDA GPU, and the model runs on {placement.device}; take 'auto'"
    if placement.dtype is torch.float32:
        return "computes in half precision alone, and the model is in float32; take 'sdpa'"
    if not is_flash_attn_2_available():
        return "the package flash-attn is not installed; take 'sdpa', which needs nothing"
    return None
