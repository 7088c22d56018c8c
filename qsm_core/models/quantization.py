"""Four-bit weights as in QLoRA: NF4 with double quantization (arXiv:2305.14314)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from qsm_core.errors import ConfigurationError


class Quantization(StrEnum):
    """How the weights of the linear layers are stored."""

    NONE = "none"
    NF4 = "nf4"


def parse_quantization(name: str) -> Quantization:
    """Read a quantization by name.

    Raises:
        ConfigurationError: The name is unknown.
    """
    try:
        return Quantization(name)
    except ValueError:
        allowed = " or ".join(repr(str(member)) for member in Quantization)
        problem = f"quantization = {name!r}: allowed is {allowed}"
        raise ConfigurationError("the model cannot be quantized", [problem]) from None


def quantization_config(
    quantization: Quantization, compute_dtype: torch.dtype
) -> BitsAndBytesConfig | None:
    """Return what `from_pretrained` needs, or None for weights as they are.

    Args:
        quantization: How the weights are stored.
        compute_dtype: The number format that a layer multiplies in.
    """
    if quantization is Quantization.NONE:
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


def use_portable_layers(model: Any) -> None:
    """Keep four-bit layers on a CPU to the one computation that every CPU and width has.

    On CPUs with AVX512-BF16, bitsandbytes repacks the weights at the first inference: it computes
    in bfloat16 whatever was asked for, differs from training, and fails on a layer whose inputs
    are no multiple of 64.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
