"""The sizes of an audio LLM, read from its config.json: no torch, no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.errors import ModelError
from qsm_core.models.architectures import architecture_of

# Defaults of transformers for fields that the file leaves out, for either architecture.
_ENCODER = {"d_model": 1280, "encoder_layers": 32, "encoder_ffn_dim": 5120, "num_mel_bins": 128}
_TEXT = {
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 151_936,
}
# The same field under the name that Audio Flamingo 3 gives it.
_ENCODER_NAMES = {
    "hidden_size": "d_model",
    "num_hidden_layers": "encoder_layers",
    "intermediate_size": "encoder_ffn_dim",
}
_POSITIONS = 1500


@dataclass(frozen=True)
class ModelShape:
    """Widths and layers of the audio encoder and of the language model."""

    mel_bins: int
    encoder_layers: int
    encoder_width: int
    encoder_ffn: int
    layers: int
    width: int
    ffn: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool = False
    projector_layers: int = 1

    @classmethod
    def read(cls, folder: Path) -> ModelShape:
        """Read the shape from a model folder.

        Raises:
            ModelError: There is no readable config.json.
        """
        path = folder / "config.json"
        try:
            return cls.from_config(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise ModelError(f"{path}: the sizes of the model cannot be read: {error}") from error

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ModelShape:
        """Read the shape from the content of a config.json."""
        given = dict(config.get("audio_config") or {})
        audio = _ENCODER | {_ENCODER_NAMES.get(name, name): given[name] for name in given}
        text = _TEXT | dict(config.get("text_config") or {})
        heads = int(text["num_attention_heads"])
        return cls(
            mel_bins=int(audio["num_mel_bins"]),
            encoder_layers=int(audio["encoder_layers"]),
            encoder_width=int(audio["d_model"]),
            encoder_ffn=int(audio["encoder_ffn_dim"]),
            layers=int(text["num_hidden_layers"]),
            width=int(text["hidden_size"]),
            ffn=int(text["intermediate_size"]),
            heads=heads,
            kv_heads=int(text.get("num_key_value_heads") or heads),
            vocabulary=int(text["vocab_size"]),
            tied=bool(config.get("tie_word_embeddings", False)),
            projector_layers=architecture_of(config).projector_layers,
        )

    @property
    def kv_width(self) -> int:
        """Width of the keys, and of the values, of one layer."""
        return self.width // self.heads * self.kv_heads

    @property
    def language_sizes(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the projections in a layer of the language model."""
        h, kv, ffn = self.width, self.kv_width, self.ffn
        attention = {"q_proj": (h, h), "k_proj": (h, kv), "v_proj": (h, kv), "o_proj": (h, h)}
        return attention | {"gate_proj": (h, ffn), "up_proj": (h, ffn), "down_proj": (ffn, h)}

    @property
    def encoder_sizes(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the projections in a layer of the audio encoder."""
        d, ffn = self.encoder_width, self.encoder_ffn
        attention = dict.fromkeys(("q_proj", "k_proj", "v_proj", "out_proj"), (d, d))
        return attention | {"fc1": (d, ffn), "fc2": (ffn, d)}

    @property
    def linear_parameters(self) -> int:
        """Weights of the linear layers that are quantized: all but the output matrix."""
        d, h = self.encoder_width, self.width
        encoder = self.encoder_layers * (4 * d * d + 2 * d * self.encoder_ffn)
        text = self.layers * (2 * h * h + 2 * h * self.kv_width + 3 * h * self.ffn)
        return encoder + text + d * h + (self.projector_layers - 1) * h * h

    @property
    def other_parameters(self) -> int:
        """Embeddings, output matrix, convolutions, norms and biases."""
        d, h = self.encoder_width, self.width
        convolutions = 3 * d * (self.mel_bins + d) + 2 * d
        encoder = self.encoder_layers * (3 * d + self.encoder_ffn + d + 4 * d)
        text = self.layers * (h + 2 * self.kv_width + 2 * h)
        projector = self.projector_layers * h  # its biases
        rest = _POSITIONS * d + 2 * d + h + projector  # positions, last norms
        words = self.vocabulary * h * (1 if self.tied else 2)
        return convolutions + encoder + text + rest + words

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.linear_parameters + self.other_parameters

    @property
    def largest_linear(self) -> int:
        """Weights of the largest linear layer that is quantized."""
        return max(self.width * self.ffn, self.encoder_width * self.encoder_ffn)


QWEN2_AUDIO_7B = ModelShape(
    mel_bins=128,
    encoder_layers=32,
    encoder_width=1280,
    encoder_ffn=5120,
    layers=32,
    width=4096,
    ffn=11_008,
    heads=32,
    kv_heads=32,
    vocabulary=156_032,
)
