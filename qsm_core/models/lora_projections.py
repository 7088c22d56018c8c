"""Which projections of an audio LLM get LoRA, by name; without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Targets = Literal["attention", "attention+mlp", "everything", "everything+mlp"]

_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_MLP = ("gate_proj", "up_proj", "down_proj")
_ENCODER_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
_ENCODER_MLP = ("fc1", "fc2")


@dataclass(frozen=True)
class LoraProjections:
    """Names of the adapted projections in each layer.

    Attributes:
        language: Of the language model.
        encoder: Of the audio encoder; empty: it stays as it is.
    """

    language: tuple[str, ...]
    encoder: tuple[str, ...]

    @classmethod
    def of(cls, targets: Targets, *, tune_encoder: bool) -> LoraProjections:
        """Return what a scope means.

        `everything` is the scope of the first system: its bare names q, k, v, o (with MLP gate, up,
        down) met the encoder too, whose output projection and MLP have other names.

        Args:
            targets: The kinds of projections.
            tune_encoder: Whether the same kinds of the audio encoder are adapted too; `everything`
                has its own part of the encoder.
        """
        mlp = targets.endswith("+mlp")
        language = (*_ATTENTION, *(_MLP if mlp else ()))
        if targets.startswith("everything"):
            return cls(language, tuple(name for name in _ENCODER_ATTENTION if name in language))
        encoder = (*_ENCODER_ATTENTION, *(_ENCODER_MLP if mlp else ()))
        return cls(language, encoder if tune_encoder else ())
