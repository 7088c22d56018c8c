"""How an optimizer LLM shares a device with the model that scores: one rule for plan and work.

If both fit with room to spare, both stay. Otherwise the optimizer LLM is freed after every turn;
and if it does not fit beside the scorer at all, the scorer waits in main memory meanwhile. Plans
are made in the flow process, so nothing large is imported here.
"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

_NF4_SHARE = 0.6  # of two bytes a weight: four bits, and the embeddings as they are
_WORK_SHARE = 0.25  # of the weights, for the cache and the activations of a few answers
_STAYS_WITH = 2.0  # this many times its need must be free for the model to stay beside the scorer


class Sharing(StrEnum):
    """What happens to the two models."""

    STAYS = "stays beside the scorer"
    FREED = "is freed after every turn"
    ALONE = "is freed after every turn; the scorer waits in main memory meanwhile"


def sharing_of(need: int, free: int) -> Sharing:
    """Return how the two models share a device.

    Args:
        need: Bytes that the optimizer LLM needs.
        free: Free bytes of the device, with the scorer on it.
    """
    if free < need:
        return Sharing.ALONE
    return Sharing.FREED if free < _STAYS_WITH * need else Sharing.STAYS


def needed_bytes(folder: Path, *, quantization: str, number_bytes: int) -> int:
    """Estimate the memory of the loaded model and a few answers, from the sizes of its files.

    Args:
        folder: Folder of the model.
        quantization: "none" or "nf4".
        number_bytes: Bytes of a number on the device, if the model is not quantized.
    """
    files = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    parameters = files / _stored_bytes(folder / "config.json")
    each = 2 * _NF4_SHARE if quantization == "nf4" else number_bytes
    return int(parameters * each * (1 + _WORK_SHARE))


def _stored_bytes(config: Path) -> int:
    """Return the bytes of a number in the files, according to the configuration."""
    values = json.loads(config.read_text(encoding="utf-8"))
    name = values.get("dtype") or values.get("torch_dtype") or "float32"
    return 2 if name in ("bfloat16", "float16") else 4
