"""Presets: values for many parameters at once; whatever a user gives wins.

The tasks, variants and settings of the two Gemma presets are those of the original study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal["embedded", "gemma-3-4b", "gemma-3-270m"]
_STUDY: Mapping[str, Any] = {
    "task": ["dreams_it", "iq_it"],
    "variants": ["gauss_attn", "gauss_mlp", "gauss_embed", "ablation_attn", "quant_attn"],
    "n_rep": 10,
    "temperature": 1.0,
    "top_p": 1.0,
    "max_new_tokens": 350,
}
PRESETS: Mapping[Preset, Mapping[str, Any]] = {
    "embedded": {},
    # Its weights are behind the terms of Gemma: a Hub id with its commit and a token, or a folder.
    "gemma-3-4b": {"model": "google/gemma-3-4b-it", "batch_size": 16, **_STUDY},
    # Weights that users install themselves, without a chat template.
    "gemma-3-270m": {"form": "text", **_STUDY},
}


def with_preset(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a user gives, and behind them those of the preset."""
    chosen = PRESETS.get(values.get("preset", "embedded"), {})
    given = {name: value for name, value in values.items() if value not in (None, [])}
    return {**chosen, **given}
