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
        return _damage(folder / WEIGHTS)
    index = folder / INDEX
    if not index.is_file():
        return [f"{WEIGHTS} (or {INDEX} with its shards) is missing"]
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError):
        return [f"{INDEX} has no readable weight_map"]
    return [problem for shard in shards for problem in _damage(folder / shard)]


def _damage(file: Path) -> list[str]:
    """Compare a file with what its header says."""
    if not file.is_file():
        return [f"{file.name} is missing"]
    try:
        with safe_open(file, framework="np"):
            return []
    except (SafetensorError, OSError) as error:
        size = file.stat().st_size
        return [f"{file.name} is not whole ({size} bytes; {error}): copy or download it again"]
