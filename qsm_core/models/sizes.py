"""How large a model and its adapter are, from the headers of their files; nothing is loaded."""

from __future__ import annotations

from math import prod
from pathlib import Path

from safetensors import SafetensorError, safe_open

_ADAPTER_FILE = "adapter_model.safetensors"


def stored_parameters(folder: Path) -> int | None:
    """Return how many numbers the safetensors files of a folder hold; None where none is read.

    For weights that are stored packed, as some quantised ones are, it is fewer than the model has.
    """
    try:
        counts = [_in_file(file) for file in sorted(folder.glob("*.safetensors"))]
    except (OSError, SafetensorError):
        return None
    return sum(counts) if counts else None


def adapter_bytes(folder: Path) -> int | None:
    """Return the size of an adapter's weights in bytes; None where they are in another form."""
    file = folder / _ADAPTER_FILE
    return file.stat().st_size if file.is_file() else None


def _in_file(file: Path) -> int:
    with safe_open(file, framework="numpy") as tensors:
        return sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
