"""How many prompts are asked together: by the peak of the device's memory in the last batch."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from qsm_core.errors import ModelError

_TOO_MUCH, _MUCH, _LITTLE = 95.0, 90.0, 40.0  # percent of the device's memory
_PAUSE_S = 1.0

Meter = Callable[[], float | None]


class BatchSize:
    """Grows while there is room, halves when memory runs out, ends the run before it is full.

    Args:
        first: Prompts in the first batch.
        most: Prompts in the largest.
        meter: Returns the peak since the last call in percent of the memory; None on a CPU.
        say: Shows a line to the user.
    """

    def __init__(self, first: int, most: int, meter: Meter, say: Callable[[str], None]) -> None:
        self.value = min(first, most)
        self._most = most
        self._meter = meter
        self._say = say

    def measure(self) -> float | None:
        """Return the peak of the batch that has just ended, in percent."""
        return self._meter()

    def adapt(self, percent: float | None) -> None:
        """Choose the next size. What the batch gave must be on disk by now.

        Raises:
            ModelError: The memory is nearly full.
        """
        if percent is None:
            return
        if percent > _TOO_MUCH:
            raise ModelError(
                f"{percent:.0f} % of the device's memory was used, more than {_TOO_MUCH:.0f}: "
                "stopped before it runs out. What was written is kept: run again with a smaller "
                "batch_size, and it goes on"
            )
        if percent > _MUCH:
            self._say(f"{percent:.0f} % of the device's memory is used; batch of {self.value}")
            time.sleep(_PAUSE_S)
        elif percent < _LITTLE:
            self.value = min(2 * self.value, self._most)

    def halve(self) -> bool:
        """Take half as many from now on; False where it is one already."""
        if self.value == 1:
            return False
        self.value //= 2
        self._say(f"memory ran out: batches of {self.value} from here on")
        return True


def device_meter(device: torch.device) -> Meter:
    """Return what measures the peak of a device's memory, from one call to the next."""
    if device.type != "cuda":
        return lambda: None
    total = torch.cuda.get_device_properties(device).total_memory

    def peak() -> float:
        used = 100 * torch.cuda.max_memory_allocated(device) / total
        torch.cuda.reset_peak_memory_stats(device)
        return used

    return peak
