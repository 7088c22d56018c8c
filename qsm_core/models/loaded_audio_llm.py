"""A loaded audio LLM: the model, its processor, and where and how it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from qsm_core.models.architectures import ARCHITECTURES, Architecture
from qsm_core.models.memory import Account
from qsm_core.models.shape import ModelShape


@dataclass(frozen=True)
class AudioLLM:
    """A model ready for use, plain, quantized, or with an adapter around it.

    Attributes:
        model: An instance of a class in `architectures.py`, or a PeftModel around it.
        processor: Its processor.
        device: Where tensors enter and leave the model.
        dtype: The number format of what is not quantized.
        reason: Why this device and number format, for the log and the run card.
        quantization: "none" or "nf4".
        notes: What the user should know about the model, such as an adapter made by other library
            versions; empty where there is nothing to say.
    """

    model: Any
    processor: Any
    device: torch.device
    dtype: torch.dtype
    reason: str
    quantization: str = "none"
    notes: tuple[str, ...] = ()

    @property
    def core(self) -> Any:
        """The model itself, of the class of its architecture; its adapter stays active."""
        unwrap = getattr(self.model, "get_base_model", None)
        return unwrap() if unwrap is not None else self.model

    @property
    def architecture(self) -> Architecture:
        """Its architecture."""
        return ARCHITECTURES[self.core.config.model_type]

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the language model."""
        return self.processor.tokenizer

    @property
    def feature_extractor(self) -> Any:
        """The log-mel front end."""
        return self.processor.feature_extractor

    @property
    def audio_token_id(self) -> int:
        """The token that stands where one audio embedding goes."""
        return int(self.core.config.audio_token_id)

    @property
    def end_token_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        ends = self.core.generation_config.eos_token_id
        if ends is None:
            ends = self.tokenizer.eos_token_id
        return frozenset(ends if isinstance(ends, list | tuple) else [ends])


def account_of(llm: AudioLLM) -> Account:
    """Return the memory account of a loaded model."""
    return Account(
        ModelShape.from_config(llm.core.config.to_dict()),
        llm.quantization,
        "cuda" if llm.device.type == "cuda" else "cpu",
        llm.dtype.itemsize,
    )
