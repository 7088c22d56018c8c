"""Files of a LoRA adapter that fits a model by names and sizes, written without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from qsm_core.models.weight_files import stored_shapes


def write_adapter_files(
    folder: Path, model: Path, *, targets: tuple[str, ...] = ("q_proj", "v_proj"), **settings: Any
) -> Path:
    """Write an adapter of bare names with the names that the tensors of `model` have on disk."""
    rank = 2
    tensors = {}
    for name, shape in stored_shapes(model).items():
        module = name.removesuffix(".weight")
        if module.rpartition(".")[2] in targets and name.endswith(".weight"):
            prefix = f"base_model.model.{module}"
            tensors[f"{prefix}.lora_A.weight"] = np.ones((rank, shape[1]), np.float32)
            tensors[f"{prefix}.lora_B.weight"] = np.ones((shape[0], rank), np.float32)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    given = {
        "peft_type": "LORA",
        "base_model_name_or_path": "Qwen/Qwen2-Audio-7B-Instruct",
        "r": rank,
        "lora_alpha": 4,
        "target_modules": list(targets),
    }
    (folder / "adapter_config.json").write_text(json.dumps(given | settings))
    return folder
