"""Presets: values for many parameters at once; whatever a user gives wins.

The tasks, variants and settings of the two Gemma presets are those of the original study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from qsm_core.perturbation.config import TextSettings
from qsm_core.perturbation.experiments import DEFAULT_DRAWS, DEFAULT_NEW_TOKENS, DEFAULT_TASKS

Preset = Literal["embedded", "gemma-3-4b", "gemma-3-270m"]
_EMBEDDED: Mapping[str, Any] = {
    "model": "embedded",
    "task": [*DEFAULT_TASKS],
    "n_rep": DEFAULT_DRAWS,
    "form": "chat",
    "temperature": TextSettings.temperature,
    "top_p": TextSettings.top_p,
    "max_new_tokens": DEFAULT_NEW_TOKENS,
    "batch_size": 8,
}
_STUDY: Mapping[str, Any] = {
    **_EMBEDDED,
    "task": ["dreams_it", "iq_it"],
    "variants": ["gauss_attn", "gauss_mlp", "gauss_embed", "ablation_attn", "quant_attn"],
    "n_rep": 10,
    "temperature": 1.0,
    "top_p": 1.0,
    "max_new_tokens": 350,
    "batch_size": 16,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "embedded": _EMBEDDED,
    # Its weights are behind the terms of Gemma: a Hub id with its commit and a token, or a folder.
    "gemma-3-4b": {**_STUDY, "model": "google/gemma-3-4b-it"},
    # Weights that users install themselves, without a chat template: they name folder or file.
    "gemma-3-270m": {**_STUDY, "model": None, "form": "text"},
}


def with_preset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a user gives, and behind them those of the preset."""
    chosen = PRESETS.get(values.get("preset", "embedded"), {})
    given = {name: value for name, value in values.items() if value not in (None, [])}
    if "prompts" in given:
        chosen = {name: value for name, value in chosen.items() if name != "task"}
    if given.keys() & {"method", "variant_indexes"}:
        chosen = {name: value for name, value in chosen.items() if name != "variants"}
    return {**chosen, **given}
