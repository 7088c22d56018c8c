"""Four-bit weights as in QLoRA, NF4 with double quantization (arXiv:2305.14314), and eight bits.

Each weight is an index into a table of sixteen numbers; 64 weights, row after row, share a scale.
What the library computes from these depends on the CPU in two ways: `use_portable_layers` removes
both, and `decoded_layers` is the formula to compare with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor
from transformers import BitsAndBytesConfig

from qsm_core.errors import ConfigurationError, ModelError

_SMALLEST_BLOCK = 32  # that bitsandbytes accepts
_VECTOR = 16  # numbers that its AVX-512 kernel decodes at once; other widths are decoded singly


class Quantization(StrEnum):
    """How the weights of the linear layers are stored."""

    NONE = "none"
    NF4 = "nf4"
    INT8 = "int8"


def parse_quantization(
    name: str, allowed: tuple[Quantization, ...] = (Quantization.NONE, Quantization.NF4)
) -> Quantization:
    """Read a quantization by name.

    Args:
        name: What a user gave.
        allowed: What the caller can load.

    Raises:
        ConfigurationError: The name is none of these.
    """
    for one in allowed:
        if name == one:
            return one
    names = " or ".join(repr(str(one)) for one in allowed)
    problem = f"quantization = {name!r}: allowed is {names}"
    raise ConfigurationError("the model cannot be quantized", [problem])


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
    if quantization is Quantization.INT8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


def use_portable_layers(model: Any) -> None:
    """Restrict four-bit layers on a CPU to the computation that is right on every CPU and width.

    On CPUs with AVX512-BF16, bitsandbytes repacks the weights at the first inference: it computes
    in bfloat16 whatever was requested, differs from training, and fails on a layer whose inputs
    are no multiple of 64.

    On CPUs with AVX-512, it takes the scale of a weight from the wrong block in a layer whose
    inputs are no multiple of the block, as if each row began a block of its own (bitsandbytes
    0.50.2, dequantizeBlockwise4bitCpu). Such layers get blocks that divide their rows.

    Raises:
        ModelError: A layer has rows that no size of blocks divides.
    """
    for name, layer in _four_bit_layers(model):
        layer.support_avx512bf16_for_cpu = False
        if layer.weight.device.type == "cpu":
            _divide_rows(name, layer.weight.quant_state)


@contextmanager
def decoded_layers(model: Any) -> Iterator[None]:
    """Make four-bit layers multiply with weights decoded by the formula, in torch alone.

    A weight is decoded at each use and not kept.
    """
    hooks = [layer.register_forward_hook(_multiply_decoded) for _, layer in _four_bit_layers(model)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def decoded_weight(layer: Any) -> Tensor:
    """Return the weight of a four-bit layer: each number of the table times the scale of its block.

    The scales are stored in eight bits, in the same way, around their mean.
    """
    state = layer.weight.quant_state
    count = math.prod(state.shape)
    packed = layer.weight.data.view(torch.uint8).flatten()
    indices = torch.stack([packed >> 4, packed & 15], dim=1).flatten()[:count]
    scales = state.absmax
    if state.nested:
        of_scales = state.state2.absmax.repeat_interleave(state.state2.blocksize)
        scales = state.state2.code[scales.int()] * of_scales[: len(scales)] + state.offset
    scale_of_each = scales.repeat_interleave(state.blocksize)[:count]
    numbers: Tensor = state.code[indices.int()] * scale_of_each
    return numbers.view(state.shape).to(state.dtype)


def _four_bit_layers(model: Any) -> list[tuple[str, Any]]:
    return [
        (name, module)
        for name, module in model.named_modules()
        if hasattr(module, "support_avx512bf16_for_cpu")
    ]


def _divide_rows(name: str, state: Any) -> None:
    """Split the blocks so that they divide a row; each part keeps the scale of its block."""
    width, block = state.shape[-1], state.blocksize
    if width % block == 0 or width % _VECTOR:
        return
    part = math.gcd(width, block)
    if part < _SMALLEST_BLOCK:
        raise ModelError(
            f"{name} has {width} inputs, and a CPU computes with four bits only multiples of "
            f"{_SMALLEST_BLOCK}: take quantization 'none', or a GPU"
        )
    state.blocksize, parts = part, block // part
    state.absmax = state.absmax.repeat_interleave(parts)
    if state.nested:  # the number of scales has grown by the same factor
        state.state2.absmax = state.state2.absmax.repeat_interleave(parts)


def _multiply_decoded(layer: Any, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """Return the output of a layer, computed with its decoded weight."""
    weight = decoded_weight(layer)
    bias = None if layer.bias is None else layer.bias.to(weight.dtype)
    product = torch.nn.functional.linear(inputs[0].to(weight.dtype), weight, bias)
    return product.to(output.dtype)
