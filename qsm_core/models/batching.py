"""Batches of equal length, and how one that does not fit into memory is handled.

Rows of equal length are batched, so that nothing is padded or masked. A batch that runs
out of memory is halved and tried again; the smaller size is kept for the batches after it.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch

from qsm_core.errors import ConfigurationError, ModelError

_DEFAULT_ON_CPU = 32
_DEFAULT_ON_GPU = 64
# Messages of errors for which torch has no class: the CPU's allocator, and cuBLAS's workspace.
_OUT_OF_MEMORY_TEXTS = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")


class BatchLimit:
    """The largest batch at present; it is halved when memory runs out.

    Attributes:
        size: The most rows of a batch.
        halvings: How often memory ran out.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ConfigurationError("no such batch", [f"batch_size = {size}: at least 1"])
        self.size = size
        self.halvings = 0

    @classmethod
    def choose(cls, batch_size: int | None, device: torch.device) -> BatchLimit:
        """Start at `batch_size`, or where it is None at a size that suits the device."""
        if batch_size is not None:
            return cls(batch_size)
        return cls(_DEFAULT_ON_CPU if device.type == "cpu" else _DEFAULT_ON_GPU)

    def halve(self) -> None:
        """Make the next batches smaller.

        Raises:
            ModelError: A batch of one row does not fit.
        """
        if self.size == 1:
            raise ModelError(
                "a batch of one clip does not fit into memory: take quantization 'nf4', shorter "
                "clips, or a device with more memory"
            )
        self.size //= 2
        self.halvings += 1


def run_in_batches(
    lengths: Sequence[Hashable],
    limit: BatchLimit,
    work: Callable[[list[int]], None],
    *,
    fits: Callable[[Any], int] | None = None,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Call `work` with the row numbers of each batch: every row once, equal lengths together.

    Args:
        lengths: What must be equal within a batch, one a row. Lengths come in the order in which
            they are first seen, and rows keep their order within a length.
        limit: The batch size; reduced when memory runs out.
        work: Processes one batch. It is called again with fewer rows if memory ran out, so it must
            only store what it computed.
        fits: Returns how many rows of one length are expected to fit into memory; None: as many as
            `limit` says.
        advance: Called with the number of rows done so far.

    Raises:
        ModelError: A single row does not fit into memory.
    """
    buckets: dict[Hashable, list[int]] = defaultdict(list)
    for row, length in enumerate(lengths):
        buckets[length].append(row)
    done = 0
    for length, rows in buckets.items():
        start = 0
        expected = len(rows) if fits is None else max(1, fits(length))
        while start < len(rows):
            batch = rows[start : start + min(limit.size, expected)]
            if not _fits(work, batch):
                limit.size = len(batch)
                limit.halve()
                continue
            start += len(batch)
            done += len(batch)
            if advance is not None:
                advance(done)


def _fits(work: Callable[[list[int]], None], batch: list[int]) -> bool:
    """Run one batch; return False, with its memory freed, if memory ran out."""
    try:
        work(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    # Outside the handler: the exception's frames would keep the tensors of the failed batch.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether torch ran out of memory, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(t in str(error) for t in _OUT_OF_MEMORY_TEXTS)
