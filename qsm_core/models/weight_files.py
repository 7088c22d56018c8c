"""Check from their headers whether the weights of a model folder are complete, without torch.

A truncated copy, or the pointer that Git LFS leaves in place of a file that was not fetched, is
found here at once; on a cluster, the job would otherwise first wait for a GPU.
"""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def weight_problems(folder: Path) -> list[str]:
    """List the weights of a folder that are missing or damaged."""
    if (folder / WEIGHTS).is_file():
        return damage_of(folder / WEIGHTS)
    index = folder / INDEX
    if not index.is_file():
        return [f"{WEIGHTS} (or {INDEX} with its shards) is missing"]
    try:
        shards = _shards(index)
    except (ValueError, KeyError, AttributeError, TypeError):
        return [f"{INDEX} has no readable weight_map"]
    return [problem for shard in shards for problem in damage_of(folder / shard)]


def damage_of(file: Path) -> list[str]:
    """Compare a file of tensors with what its header says."""
    if not file.is_file():
        return [f"{file.name} is missing"]
    try:
        with safe_open(file, framework="np"):
            return []
    except (SafetensorError, OSError) as error:
        size = file.stat().st_size
        return [f"{file.name} is not whole ({size} bytes; {error}): copy or download it again"]


def has_packed_weights(folder: Path) -> bool:
    """Return whether tensors of a folder without `weight_problems` are packed by GPTQ or AWQ."""
    return any(name.endswith((".qweight", ".qzeros")) for name in stored_shapes(folder))


def stored_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a folder without `weight_problems`, by name."""
    if (folder / WEIGHTS).is_file():
        return tensor_shapes(folder / WEIGHTS)
    return {
        name: shape
        for shard in _shards(folder / INDEX)
        for name, shape in tensor_shapes(folder / shard).items()
    }


def tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a file that is whole, by name; reads its header alone."""
    with safe_open(file, framework="np") as tensors:
        return {name: tuple(tensors.get_slice(name).get_shape()) for name in list(tensors.keys())}


def _shards(index: Path) -> list[str]:
    return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
