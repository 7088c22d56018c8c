"""What this machine has to run models on, found out without torch."""

from __future__ import annotations

import platform
import subprocess

import psutil

_ASK = ("nvidia-smi", "--format=csv,noheader,nounits")
_TIMEOUT_S = 20
_MIB = 2**20


def machine() -> str:
    """Return the GPUs that this machine shows, else its kind of CPU and its name."""
    return "; ".join(_gpus("name")) or f"{platform.machine()} CPU of {platform.node()}"


def model_memory_bytes(device: str) -> int:
    """Return the memory that a model on `device` ("auto", "cpu", "cuda") could use at most.

    That of the smallest GPU where there are several, and the machine's where there is none.
    """
    gpus = [] if device == "cpu" else _gpus("memory.total")
    sizes = [int(size) * _MIB for size in gpus if size.isdigit()]
    return min(sizes) if sizes else int(psutil.virtual_memory().total)


def has_gpu(device: str) -> bool:
    """Say whether a model on `device` runs on a GPU of this machine."""
    return device != "cpu" and bool(_gpus("name"))


def _gpus(field: str) -> list[str]:
    """Return one fact of each NVIDIA GPU; nothing where there is none."""
    command = [*_ASK, f"--query-gpu={field}"]
    try:
        found = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in str(found.stdout).splitlines() if line.strip()]
