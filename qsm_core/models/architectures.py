"""The supported audio LLMs; without torch, so that they can be checked before anything is loaded.

Both use Whisper's encoder with the padding masked out and one average pooling after it,
so the same exact savings hold for them. This module records what differs between them. Another
architecture is one more entry, once the parity check passes on it (docs/models.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """One architecture of transformers.

    Attributes:
        model_type: Its name in config.json.
        name: Its common name.
        model_class: The class in transformers that loads it with its output matrix.
        projector_layers: Linear layers between the encoder and the language model.
        mel_mask: Whether the stock encoder takes one mask value a mel frame; else it takes the
            finished mask of its attention.
    """

    model_type: str
    name: str
    model_class: str
    projector_layers: int
    mel_mask: bool


QWEN2_AUDIO = Architecture(
    "qwen2_audio", "Qwen2-Audio", "Qwen2AudioForConditionalGeneration", 1, mel_mask=False
)
AUDIO_FLAMINGO_3 = Architecture(
    "audioflamingo3",
    "Audio Flamingo 3",
    "AudioFlamingo3ForConditionalGeneration",
    2,
    mel_mask=True,
)
ARCHITECTURES = {item.model_type: item for item in (QWEN2_AUDIO, AUDIO_FLAMINGO_3)}


def architecture_of(config: Mapping[str, Any]) -> Architecture:
    """Return the architecture of a config.json's content; Qwen2-Audio where it names none."""
    return ARCHITECTURES[str(config.get("model_type", QWEN2_AUDIO.model_type))]


def architecture_in(folder: Path) -> Architecture:
    """Return the architecture of a folder that `check_model_folder` accepts."""
    return architecture_of(json.loads((folder / "config.json").read_text(encoding="utf-8")))
