"""Load a model without progress bars in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tqdm import tqdm
from transformers import modeling_gguf_pytorch_utils as gguf_reader
from transformers.utils import logging as transformers_logging


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Turn off the progress bars of transformers within the `with` block."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    # That of GGUF files is tqdm's own, which the switch does not reach.
    before, gguf_reader.tqdm = gguf_reader.tqdm, partial(tqdm, disable=True)
    try:
        yield
    finally:
        gguf_reader.tqdm = before
        if shown:
            transformers_logging.enable_progress_bar()
