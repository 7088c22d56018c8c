"""Where the model runs and in which number format, and why: resolved once, reported once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from qsm_core.errors import ConfigurationError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Placement:
    """A device and a number format.

    Attributes:
        device: The torch device of the weights.
        dtype: The number format of the weights that are not quantized.
        reason: Both choices in words, for the log and the run card.
    """

    device: torch.device
    dtype: torch.dtype
    reason: str


def resolve_placement(device: str = "auto", dtype: str = "auto") -> Placement:
    """Choose the device and the number format.

    Args:
        device: "auto" (a CUDA GPU where there is one, else the CPU) or a torch device name.
        dtype: "auto" (float32 on a CPU; bfloat16 on a GPU that has it, else float16), "float32",
            "bfloat16" or "float16".

    Raises:
        ConfigurationError: An unknown name, or a device that this machine does not have.
    """
    problems = []
    if dtype != "auto" and dtype not in _DTYPES:
        problems.append(f"dtype = {dtype!r}: allowed are 'auto', {', '.join(map(repr, _DTYPES))}")
    chosen = _device(device, problems)
    if problems:
        raise ConfigurationError("the model cannot be placed", problems)
    number_format, why_format = _dtype(dtype, chosen)
    why_device = "requested" if device != "auto" else _why_device(chosen)
    name = str(number_format).removeprefix("torch.")
    return Placement(chosen, number_format, f"{chosen}: {why_device}; {name}: {why_format}")


def _device(name: str, problems: list[str]) -> torch.device:
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        problems.append(f"device = {name!r}: allowed are 'auto', 'cpu', 'cuda', 'cuda:N', 'mps'")
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        problems.append(f"device = {name!r}: this machine shows {count} CUDA GPUs; take 'auto'")
    if device.type == "mps" and not torch.backends.mps.is_available():
        problems.append("device = 'mps': this machine has no Apple GPU; take 'auto'")
    return torch.device("cuda:0") if name == "cuda" else device


def _why_device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return "no CUDA GPU was found"


def _dtype(name: str, device: torch.device) -> tuple[torch.dtype, str]:
    if name != "auto":
        return _DTYPES[name], "requested"
    if device.type != "cuda":
        return torch.float32, "half precision is slow or inexact off a CUDA GPU"
    if torch.cuda.is_bf16_supported():
        return torch.bfloat16, "the GPU computes in bfloat16"
    return torch.float16, "the GPU has no bfloat16"
