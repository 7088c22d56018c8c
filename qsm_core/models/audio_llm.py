"""Load an audio LLM: from the package, a folder or the Hub; plain or in four bits; with an adapter.

The loaded model is tested before it is used: its weights are complete, audio reaches the logits, an
adapter changes them.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoProcessor

from qsm_core.errors import ModelError
from qsm_core.models.adapters import load_adapter
from qsm_core.models.architectures import architecture_in
from qsm_core.models.attention import check_attention
from qsm_core.models.device import Placement, resolve_placement
from qsm_core.models.encoder import check_front_end
from qsm_core.models.identity import resolve_model_folder
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.models.progress_bars import no_progress_bars
from qsm_core.models.quantization import (
    Quantization,
    parse_quantization,
    quantization_config,
    use_portable_layers,
)
from qsm_core.models.self_test import check_hears_audio, differ, probe_logits

__all__ = ["AudioLLM", "load_audio_llm"]


def load_audio_llm(
    source: str | Path,
    *,
    revision: str | None = None,
    adapter: Path | None = None,
    quantization: str = "none",
    device: str = "auto",
    dtype: str = "auto",
    attention: str = "auto",
    self_test: bool = True,
) -> AudioLLM:
    """Load an audio LLM for inference or as the base of a training.

    Args:
        source: "embedded", a local folder, or a Hub id.
        revision: The 40-digit commit hash of a Hub id.
        adapter: Folder of a LoRA adapter to put around the model.
        quantization: "none" or "nf4" (four bits).
        device: "auto" or a torch device name.
        dtype: "auto", "float32", "bfloat16" or "float16".
        attention: How attention is computed: "auto" (what transformers chooses, SDPA if torch has
            it), "sdpa", "flash_attention_2" or "eager" (the plain formula).
        self_test: Prove that the audio reaches the logits: two stock forward passes.

    Raises:
        ConfigurationError: An unknown device, number format, quantization or attention.
        ModelError: The model or the adapter is missing, damaged, or does nothing.
        TransientError: The Hub did not answer.
    """
    stored = parse_quantization(quantization)
    placement = resolve_placement(device, dtype)
    check_attention(attention, placement)
    folder = resolve_model_folder(source, revision)
    with no_progress_bars():
        processor = _load_processor(folder)
        model = _load_model(folder, placement, stored, attention)
    reason = placement.reason + (
        "; linear layers in 4 bits (NF4, double quantization): requested"
        if stored is Quantization.NF4
        else ""
    )
    llm = AudioLLM(
        model, processor, placement.device, placement.dtype, reason, quantization=str(stored)
    )
    if self_test:
        check_hears_audio(llm)
    return llm if adapter is None else _with_adapter(llm, folder, Path(adapter))


def _with_adapter(llm: AudioLLM, model_folder: Path, folder: Path) -> AudioLLM:
    """Add an adapter to the model and prove that it changes the logits."""
    before = probe_logits(llm)
    loaded = load_adapter(llm.model, model_folder, folder)
    adapted = dataclasses.replace(llm, model=loaded.model, notes=(*llm.notes, *loaded.notes))
    if not differ(before, probe_logits(adapted)):
        raise ModelError(
            f"adapter {folder}: the model answers as it does without it, so the adapter does not "
            "act here; it was made for another model or by another library version"
        )
    return adapted


def _load_processor(folder: Path) -> Any:
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the processor in {folder} cannot be loaded: {error}") from error
    check_front_end(processor.feature_extractor)
    processor.tokenizer.padding_side = "left"
    return processor


def _load_model(folder: Path, placement: Placement, stored: Quantization, attention: str) -> Any:
    quantized = quantization_config(stored, placement.dtype)
    model_class = getattr(transformers, architecture_in(folder).model_class)
    on_device = placement.device.type != "cpu" or quantized is not None
    try:
        model, found = model_class.from_pretrained(
            folder,
            dtype=placement.dtype,
            quantization_config=quantized,
            device_map={"": placement.device} if on_device else None,
            attn_implementation=None if attention == "auto" else attention,
            local_files_only=True,
            output_loading_info=True,
        )
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the model does not fit on {placement.device}: take quantization 'nf4', or a device "
            "with more memory"
        ) from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the weights in {folder} cannot be loaded: {error}") from error
    _check_complete(folder, found)
    use_portable_layers(model)
    return model.eval()


def _check_complete(folder: Path, found: Any) -> None:
    """Refuse incomplete weights: transformers only logs a line and fills in random numbers."""
    problems = [
        f"{len(found[f'{kind}_keys'])} tensors {kind} ({min(map(str, found[f'{kind}_keys']))}, ...)"
        for kind in ("missing", "unexpected", "mismatched")
        if found.get(f"{kind}_keys")
    ]
    if problems:
        raise ModelError(f"the weights in {folder} do not fit the model: {'; '.join(problems)}")
