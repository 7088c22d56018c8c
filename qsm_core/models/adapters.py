"""LoRA adapters: loaded into a model, with proof that they are complete and have an effect.

PEFT drops weights whose names it cannot map and leaves the adapter at zero: the base model then
answers, without any error. Here every tensor of the file must be used, every tensor of the adapter
must be filled, and the logits must change. Names of transformers 4 become those of today, so that
the logits equal those of PEFT in the layout that an adapter was made with.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftConfig, PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file

from qsm_core.errors import ModelError
from qsm_core.models.adapter_files import CARD_FILE, CONFIG_FILE, PREFIX, WEIGHTS_FILE
from qsm_core.models.adapter_fit import FittedAdapter, fit_adapter

_SHOWN = 3

# PEFT uses the old name of this attribute of transformers; the user can do nothing about it.
warnings.filterwarnings(
    "ignore", "`is_gradient_checkpointing` is deprecated", category=FutureWarning
)


@dataclass(frozen=True)
class LoadedAdapter:
    """A model with its adapter, and what the user should know about the pair."""

    model: Any
    notes: tuple[str, ...]


def load_adapter(model: Any, model_folder: Path, folder: Path) -> LoadedAdapter:
    """Put the adapter of `folder` around `model`.

    Args:
        model: As it was loaded.
        model_folder: Where it was loaded from.
        folder: Of the adapter.

    Raises:
        ModelError: Files are missing or damaged, tensors do not fit or are not mapped, or every
            lora_B is zero, so that the adapter changes nothing.
    """
    fitted = fit_adapter(folder, model_folder)
    wrapped = PeftModel(model, _config_of(fitted))
    try:
        result = set_peft_model_state_dict(wrapped, _weights_of(fitted))
    except (RuntimeError, KeyError, ValueError) as error:
        raise ModelError(f"adapter {folder}: its weights do not fit this model: {error}") from error
    _check_keys(folder, result)
    _check_not_zero(folder, wrapped)
    wrapped.requires_grad_(False)  # for inference only
    return LoadedAdapter(wrapped.eval(), (*_layout_notes(fitted), *_version_notes(folder)))


def _config_of(fitted: FittedAdapter) -> PeftConfig:
    """Return the settings of the adapter with every module that it adapts by its name today."""
    folder = fitted.stored.folder
    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"adapter {folder}: {CONFIG_FILE} cannot be read: {error}") from error
    if not isinstance(config, LoraConfig):
        raise ModelError(f"adapter {folder}: peft_type {config.peft_type}: only LORA is supported")
    config.inference_mode = True
    config.target_modules = set(fitted.ranks)
    config.exclude_modules = config.layers_to_transform = config.layers_pattern = None
    config.modules_to_save = fitted.saved_modules
    config.rank_pattern = _unlike(fitted.ranks, config.r)
    config.alpha_pattern = _unlike(fitted.alphas, config.lora_alpha)
    return config


def _unlike(values: Mapping[str, float], usual: float) -> dict[str, Any]:
    return {re.escape(name): value for name, value in values.items() if value != usual}


def _weights_of(fitted: FittedAdapter) -> dict[str, torch.Tensor]:
    weights = load_file(fitted.stored.folder / WEIGHTS_FILE)
    return {
        f"{PREFIX}{fitted.names[name.removeprefix(PREFIX)]}": value
        for name, value in weights.items()
    }


def _check_keys(folder: Path, result: Any) -> None:
    unmapped = list(result.unexpected_keys)
    missing = [name for name in result.missing_keys if _is_of_adapter(name)]
    problems = []
    if unmapped:
        problems.append(f"{len(unmapped)} tensors have no place in this model: {_some(unmapped)}")
    if missing:
        problems.append(f"{len(missing)} tensors of the adapter are not in it: {_some(missing)}")
    if problems:
        raise ModelError(
            f"adapter {folder} was made for another model or by another library version:\n  - "
            + "\n  - ".join(problems)
        )


def _check_not_zero(folder: Path, model: Any) -> None:
    halves = [value for name, value in model.named_parameters() if ".lora_B." in name]
    if not any(bool(half.detach().abs().max() > 0) for half in halves):
        raise ModelError(f"adapter {folder}: every lora_B is zero, so it changes nothing; train it")


def _is_of_adapter(name: str) -> bool:
    return ".lora_" in name or ".modules_to_save." in name


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _layout_notes(fitted: FittedAdapter) -> tuple[str, ...]:
    return ("the adapter has the names of transformers 4; they were mapped",) * fitted.is_older


def _version_notes(folder: Path) -> tuple[str, ...]:
    """Compare the versions on the adapter's card with those that are installed."""
    path = folder / CARD_FILE
    if not path.is_file():
        return (f"the adapter has no {CARD_FILE}: what it was trained on and with is not known",)
    try:
        recorded = json.loads(path.read_text(encoding="utf-8")).get("versions", {})
        pairs = sorted(recorded.items())
    except (ValueError, AttributeError) as error:
        raise ModelError(f"adapter {folder}: {CARD_FILE} cannot be read: {error}") from error
    return tuple(
        f"the adapter was trained with {name} {then}; installed is {now}"
        for name, then in pairs
        if (now := _installed(name)) not in (None, then)
    )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
