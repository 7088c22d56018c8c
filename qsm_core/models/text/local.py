"""A text LLM in this process, through transformers: loaded when needed, freed when it must be.

It may have to share a device with the audio model that scores; `device_sharing` says how.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qsm_core.errors import ModelError
from qsm_core.models.device import Placement, resolve_placement
from qsm_core.models.free_memory import free_bytes
from qsm_core.models.memory import gib
from qsm_core.models.quantization import (
    Quantization,
    parse_quantization,
)
from qsm_core.models.text.device_sharing import Sharing, needed_bytes, sharing_of
from qsm_core.models.text.loading import load_text_model
from qsm_core.models.text.protocol import Answer

DEFAULT_MAX_NEW_TOKENS = 256
_CALLED = "optimizer LLM"

MakeRoom = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class LocalModel:
    """Which model, and how it is run.

    Attributes:
        folder: Written by save_pretrained, with tokenizer and chat template.
        quantization: "none" or "nf4".
        temperature: Sampling temperature; 0 takes the likeliest token. Other sampling options
            (top_p, top_k) are those of the model's own generation_config.
        max_new_tokens: Longest answer.
        device: "auto" or a torch device name.
        dtype: "auto", "float32", "bfloat16" or "float16".
    """

    folder: Path
    quantization: str = "none"
    temperature: float = 1.0
    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS
    device: str = "auto"
    dtype: str = "auto"


class LocalLLM:
    """A `TextLLM` in this process.

    Attributes:
        at_once: None: any number of answers is generated in one batch.
        sharing: How it shared the device when it was last loaded; None if it never was.
    """

    at_once: int | None = None

    def __init__(
        self,
        model: LocalModel,
        *,
        make_room: MakeRoom = nullcontext,
        free: Callable[[torch.device], int] = free_bytes,
    ) -> None:
        """Store the settings; nothing is loaded yet.

        Args:
            model: Which model, and how it is run.
            make_room: Context manager that frees the device of the scorer meanwhile.
            free: Returns the free bytes of a device.

        Raises:
            ConfigurationError: An unknown device, number format or quantization.
        """
        self._settings = model
        self._stored = parse_quantization(model.quantization)
        self._placement = resolve_placement(model.device, model.dtype)
        self._make_room = make_room
        self._free = free
        self._loaded: tuple[Any, Any] | None = None
        self.sharing: Sharing | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory."""
        return self._loaded is not None

    def answers(self, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        """Return one answer a seed, all in one batch; see `TextLLM`.

        Raises:
            ModelError: The model is damaged, or does not fit on the device.
        """
        if not seeds:
            return []
        with ExitStack() as turn:
            if self._loaded is None:
                need = _needed(self._settings.folder, self._stored, self._placement)
                self.sharing = sharing_of(need, self._free(self._placement.device))
                if self.sharing is Sharing.ALONE:
                    turn.enter_context(self._make_room())
                if self.sharing is not Sharing.STAYS:
                    turn.callback(self.free)  # before the scorer comes back
                self._loaded = _load(self._settings, self._stored, self._placement)
            return self._write(*self._loaded, prompt, seeds)

    def free(self) -> None:
        """Free the memory; the next turn loads the model again."""
        self._loaded = None
        gc.collect()
        if self._placement.device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _write(self, model: Any, tokenizer: Any, prompt: str, seeds: Sequence[int]) -> list[Answer]:
        settings = self._settings
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        inputs = tokenizer(text, return_tensors="pt", add_special_tokens=False).to(model.device)
        options: dict[str, Any] = {"do_sample": True, "temperature": settings.temperature}
        if settings.temperature == 0:
            options = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        count = len(seeds) if options["do_sample"] else 1
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seeds[0])
            written = model.generate(
                **inputs,
                **options,
                max_new_tokens=settings.max_new_tokens,
                num_return_sequences=count,
                pad_token_id=_pad_token(tokenizer, model),
            )
        new = written[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        cut = f"was cut off at {settings.max_new_tokens} tokens"
        ends = {*_as_list(model.generation_config.eos_token_id), _pad_token(tokenizer, model)}
        whole = [bool(ends & set(row.tolist())) for row in new]
        made = [Answer(str(t), "" if w else cut) for t, w in zip(texts, whole, strict=True)]
        return made * (len(seeds) // count)


def _needed(folder: Path, stored: Quantization, placement: Placement) -> int:
    size = placement.dtype.itemsize
    return needed_bytes(folder, quantization=stored.value, number_bytes=size)


def _load(settings: LocalModel, stored: Quantization, placement: Placement) -> tuple[Any, Any]:
    folder = settings.folder
    try:
        loaded = load_text_model(
            folder,
            quantization=stored.value,
            device=settings.device,
            dtype=settings.dtype,
            called=_CALLED,
        )
    except ModelError as error:
        if not isinstance(error.__cause__, torch.OutOfMemoryError):
            raise
        need = gib(_needed(folder, stored, placement))
        raise ModelError(
            f"the {_CALLED} in {folder} needs {need} and does not fit on {placement.device}: "
            "take optimizer_quantization 'nf4', a smaller model, or a server (optimizer_url)"
        ) from error
    if loaded.tokenizer.chat_template is None:
        raise ModelError(
            f"the {_CALLED} in {folder} has no chat template: take an instruction-tuned model"
        )
    return loaded.model, loaded.tokenizer


def _pad_token(tokenizer: Any, model: Any) -> int:
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    return _as_list(model.generation_config.eos_token_id)[0]


def _as_list(token: int | list[int] | None) -> list[int]:
    return [] if token is None else [token] if isinstance(token, int) else list(token)
