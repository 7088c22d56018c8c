"""What a preset fills in: the values of fields that were left empty."""

from __future__ import annotations

from typing import Any, Literal

PresetName = Literal["embedded", "qwen2-audio-7b", "qwen2-audio-7b-v1"]

# The settings of the first system's final LoRA and OPRO runs.
_QWEN2_AUDIO_7B: dict[str, Any] = {
    "model": "Qwen/Qwen2-Audio-7B-Instruct",
    "model_revision": "0a095220c30b7b31434169c3086508ef3ea5bf0a",
    "quantization": "nf4",
    "lora_targets": "attention",
    "lora_rank": 64,
    "lora_alpha": 16,
    "learning_rate": 5e-5,
    "epochs": 3,
    "renderings_per_clip": 22,
    "opro_iterations": 15,
    "opro_clips": 500,
    "opro_proposers": "templates,llm",
    "optimizer_model": "Qwen/Qwen2.5-7B-Instruct",
    "optimizer_revision": "a09a35458c702b33eeacc393d103063234e8bc28",
    "optimizer_quantization": "nf4",
}

PRESETS: dict[str, dict[str, Any]] = {
    # Values at which the whole job takes minutes on two cores of a CPU.
    "embedded": {
        "model": "embedded",
        "quantization": "none",
        "train_clips": 240,
        "dev_clips": 60,
        "test_clips": 60,
        "lora_targets": "attention",
        "lora_rank": 16,
        "lora_alpha": 32,
        "learning_rate": 2e-3,
        "epochs": 3,
        "renderings_per_clip": 8,
        "opro_iterations": 3,
        "opro_clips": 132,
        "opro_proposers": "templates,recombination",
        "optimizer_quantization": "none",
    },
    "qwen2-audio-7b": _QWEN2_AUDIO_7B,
    # The same with the LoRA that its version 1 documents: 20.7 million parameters.
    "qwen2-audio-7b-v1": _QWEN2_AUDIO_7B
    | {
        "lora_targets": "everything",
        "lora_rank": 16,
        "lora_alpha": 32,
        "learning_rate": 2e-4,
        "epochs": 3,
        "micro_batch_size": 2,
    },
}
