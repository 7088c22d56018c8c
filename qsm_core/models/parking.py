"""A model that waits in main memory while another one has its device."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from qsm_core.models.loaded import AudioLLM


@contextmanager
def parked(llm: AudioLLM) -> Iterator[None]:
    """Keep a model off its GPU for the time of a block; on a CPU there is nothing to gain."""
    if llm.device.type != "cuda":
        yield
        return
    llm.model.to("cpu")
    gc.collect()
    torch.cuda.empty_cache()
    try:
        yield
    finally:
        llm.model.to(llm.device)
