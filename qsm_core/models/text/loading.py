"""Load a text model with its tokenizer, as it is or in 4 bits, with or without an adapter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from qsm_core.errors import ModelError
from qsm_core.models.adapters import load_adapter
from qsm_core.models.device import Placement, resolve_placement
from qsm_core.models.progress_bars import no_progress_bars
from qsm_core.models.quantization import (
    Quantization,
    parse_quantization,
    quantization_config,
    use_portable_layers,
)


@dataclass(frozen=True)
class LoadedTextModel:
    """A causal language model in evaluation mode, its tokenizer, and what a user should know."""

    model: Any
    tokenizer: Any
    placement: Placement
    notes: tuple[str, ...] = ()


def load_text_model(
    folder: Path,
    *,
    adapter: Path | None = None,
    quantization: str = "none",
    device: str = "auto",
    dtype: str = "auto",
    called: str = "text model",
) -> LoadedTextModel:
    """Load a model from a folder that save_pretrained wrote.

    Args:
        folder: With weights, tokenizer and, for prompts in chat form, a chat template.
        adapter: Folder of a LoRA adapter; it must fit the model and change its answers.
        quantization: "none", "nf4" (double quantization, computing in `dtype`) or "int8".
        device: "auto" or a torch device name.
        dtype: "auto", "float32", "bfloat16" or "float16".
        called: What errors call the model.

    Raises:
        ModelError: The model or the adapter is damaged, does not fit on the device, or does not
            fit the other.
        ConfigurationError: An unknown device, number format or quantization.
    """
    stored = parse_quantization(quantization, tuple(Quantization))
    placement = resolve_placement(device, dtype)
    quantized = quantization_config(stored, placement.dtype)
    on_device = placement.device.type != "cpu" or quantized is not None
    try:
        with no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=placement.dtype,
                quantization_config=quantized,
                device_map={"": placement.device} if on_device else None,
                local_files_only=True,
            )
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the {called} in {folder} does not fit on {placement.device}: take quantization "
            "'nf4', a smaller model, or a server"
        ) from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the {called} in {folder} cannot be loaded: {error}") from error
    use_portable_layers(model)
    notes: tuple[str, ...] = ()
    if adapter is not None:
        adapted = load_adapter(model, folder, adapter)
        model, notes = adapted.model, adapted.notes
    return LoadedTextModel(model.eval(), tokenizer, placement, notes)
