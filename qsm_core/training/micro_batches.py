"""How an update is split into forward passes; nothing large is imported here."""

from __future__ import annotations

from typing import ClassVar


class MicroBatches:
    """What every configuration of a training says of its forward passes.

    Attributes:
        largest_micro_batch: Most examples in a forward pass where the configuration names none.
        effective_batch_size: Examples in one update.
        micro_batch_size: Examples in one forward pass; None takes the largest divisor up to
            `largest_micro_batch`.
    """

    largest_micro_batch: ClassVar[int]
    effective_batch_size: int
    micro_batch_size: int | None

    @property
    def micro_batch(self) -> int:
        """Examples in one forward pass."""
        if self.micro_batch_size is not None:
            return self.micro_batch_size
        sizes = range(1, min(self.effective_batch_size, self.largest_micro_batch) + 1)
        return max(size for size in sizes if self.effective_batch_size % size == 0)

    @property
    def accumulation_steps(self) -> int:
        """Forward passes in one update."""
        return self.effective_batch_size // self.micro_batch


def micro_batch_problems(micro_batch_size: int | None, effective_batch_size: int) -> list[str]:
    """Say what is wrong with the sizes, if anything is."""
    if micro_batch_size is None or effective_batch_size % micro_batch_size == 0:
        return []
    return [
        f"micro_batch_size = {micro_batch_size}: has to divide effective_batch_size = "
        f"{effective_batch_size}"
    ]
