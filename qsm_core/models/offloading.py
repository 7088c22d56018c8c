"""Offload a model to main memory while another model uses its device."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from qsm_core.models.loaded_audio_llm import AudioLLM


@contextmanager
def offloaded(llm: AudioLLM) -> Iterator[None]:
    """Keep a model off its GPU within the `with` block; on a CPU, do nothing."""
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
