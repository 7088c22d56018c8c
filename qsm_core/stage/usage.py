"""The resources that a stage uses: CPU time, memory and GPU memory of its process."""

from __future__ import annotations

import os
import platform
import resource
import sys
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

_MIB = 2**20
_RESET_PEAK = "5"  # written to /proc/<pid>/clear_refs, resets the peak to the present use


class Usage:
    """Measures from its construction on. A process that runs several stages needs one for each."""

    def __init__(self) -> None:
        self._cpu = time.process_time()
        self._children = _peak_of_children_mib()
        _reset_peak()
        _reset_gpu_peak()

    def reading(self) -> dict[str, Any]:
        """Return cpu_seconds, peak_memory_mib, gpu_peak_mib (None without a GPU) and device."""
        children = _peak_of_children_mib()
        # The kernel keeps one peak over all children ever: it counts only if this stage raised it.
        peak = max(_peak_mib(), children if children > self._children else 0.0)
        gpu = _gpu_peak_mib()
        return {
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
            "peak_memory_mib": round(peak, 1),
            "gpu_peak_mib": None if gpu is None else round(gpu, 1),
            "device": device_name(),
        }


def device_name() -> str:
    """Return the GPU that this process uses, else the kind of CPU. Imports nothing."""
    torch = _torch_with_gpu()
    if torch is not None:
        return str(torch.cuda.get_device_name())
    return f"{platform.machine()} CPU, {os.cpu_count()} cores"


def resident_peak_mib(usage: resource.struct_rusage) -> float:
    """Return the peak memory that the operating system recorded, in MiB."""
    return usage.ru_maxrss * _memory_unit_bytes() / _MIB


def _torch_with_gpu() -> Any:
    """Return torch if this process has used a GPU with it, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


def _reset_peak() -> None:
    """Reset the recorded peak, so that it is that of this stage; needs Linux."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)


def _peak_mib() -> float:
    try:
        status = Path("/proc/self/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    except (OSError, StopIteration):
        return resident_peak_mib(resource.getrusage(resource.RUSAGE_SELF))


def _peak_of_children_mib() -> float:
    return resident_peak_mib(resource.getrusage(resource.RUSAGE_CHILDREN))


def _reset_gpu_peak() -> None:
    torch = _torch_with_gpu()
    for number in range(torch.cuda.device_count() if torch else 0):
        torch.cuda.reset_peak_memory_stats(number)


def _gpu_peak_mib() -> float | None:
    """Return the most that torch reserved, summed over GPUs: what a card must have in memory."""
    torch = _torch_with_gpu()
    if torch is None:
        return None
    numbers = range(torch.cuda.device_count())
    return float(sum(torch.cuda.max_memory_reserved(number) for number in numbers)) / _MIB


@lru_cache(maxsize=1)
def _memory_unit_bytes() -> int:
    """Return the unit of `ru_maxrss`: KiB on Linux, bytes on macOS."""
    return 1 if sys.platform == "darwin" else 1024
