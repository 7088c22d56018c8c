"""How weights are damaged: in float32, with one random stream a tensor, drawn on the CPU.

A stream depends on neither the level nor the other tensors: a draw is one direction of damage that
is followed at growing levels, and no order, shard or device changes it.

Methods and levels of the first three: the study of weight degradation that this system continues
(mult_gauss, ablation, uni_quant).
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from qsm_core.perturbation.config import Method


def _mult_gauss(weights: torch.Tensor, level: float, stream: torch.Generator) -> torch.Tensor:
    return weights * (1 + level * _normal(weights, stream))


def _gauss_add(weights: torch.Tensor, level: float, stream: torch.Generator) -> torch.Tensor:
    return weights + level * weights.std(correction=0) * _normal(weights, stream)


def _ablation(weights: torch.Tensor, level: float, stream: torch.Generator) -> torch.Tensor:
    kept = torch.rand(weights.shape, generator=stream) >= level
    return weights * kept.to(weights.device)


def _uni_quant(weights: torch.Tensor, level: float, _stream: torch.Generator) -> torch.Tensor:
    low, high = weights.min(), weights.max()
    if bool(low == high):
        return weights
    step = (high - low) / (level - 1)
    return low + torch.round((weights - low) / step) * step


def _quant_symmetric(weights: torch.Tensor, level: float, _stream: torch.Generator) -> torch.Tensor:
    largest = weights.abs() if weights.dim() < 2 else weights.abs().flatten(1)
    top = largest.max() if weights.dim() < 2 else largest.amax(dim=1)
    step = top / ((int(level) - 1) // 2)
    step = step.reshape(-1, *[1] * (weights.dim() - 1)) if weights.dim() > 1 else step
    whole = torch.round(weights / torch.where(step == 0, torch.ones_like(step), step))
    return whole * step


_METHODS: dict[str, Callable[[torch.Tensor, float, torch.Generator], torch.Tensor]] = {
    "mult_gauss": _mult_gauss,
    "gauss_add": _gauss_add,
    "ablation": _ablation,
    "uni_quant": _uni_quant,
    "quant_symmetric": _quant_symmetric,
}


def damaged(weights: torch.Tensor, method: Method, level: float, seed: int) -> torch.Tensor:
    """Return damaged weights in the numbers that these have.

    Args:
        weights: Of any shape, on any device; they stay as they are.
        method: One that works weight by weight.
        level: Above 0.
        seed: Of the random stream of this tensor.
    """
    stream = torch.Generator().manual_seed(seed)
    return _METHODS[method](weights.float(), level, stream).to(weights.dtype)


def chosen_units(num_units: int, share: float, seed: int) -> list[int]:
    """Return which heads or layers a share is; those of a smaller share are among them."""
    order = torch.randperm(num_units, generator=torch.Generator().manual_seed(seed))
    return sorted(order[: round(share * num_units)].tolist())


def _normal(weights: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
    return torch.randn(weights.shape, generator=stream).to(weights.device)
