"""What the files of a LoRA adapter say, read without torch: settings, names and shapes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qsm_core.errors import ModelError
from qsm_core.models.weight_files import damage_of, tensor_shapes

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
CARD_FILE = "adapter_card.json"
# Begins the name of every tensor that PEFT saves.
PREFIX = "base_model.model."
_PICKLE = "adapter_model.bin"


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter as its files have it.

    Attributes:
        folder: Where they are.
        settings: The content of adapter_config.json.
        shapes: Of the tensors, by their names in the file without PEFT's prefix.
    """

    folder: Path
    settings: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def read(cls, folder: Path) -> StoredAdapter:
        """Read settings and headers.

        Raises:
            ModelError: A file is missing or damaged, or it is no LoRA adapter.
        """
        problems = _missing(folder) or _damaged(folder)
        if problems:
            raise ModelError(f"adapter {folder}: {'; '.join(problems)}")
        shapes = tensor_shapes(folder / WEIGHTS_FILE)
        named = {name.removeprefix(PREFIX): shape for name, shape in shapes.items()}
        return cls(folder, _settings(folder), named)

    @property
    def base(self) -> str | None:
        """What the model is called that it was made for, if the file says it."""
        return self.settings.get("base_model_name_or_path") or None

    @property
    def num_parameters(self) -> int:
        """Numbers in its tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def _missing(folder: Path) -> list[str]:
    missing = [name for name in (CONFIG_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]
    if not missing:
        return []
    told = f"{' and '.join(missing)} missing; give a PEFT folder"
    if (folder / _PICKLE).is_file():
        told = (
            f"{WEIGHTS_FILE} missing; {_PICKLE} is a pickle, which can run any program and is not "
            "read: load it with PEFT and save it again with save_pretrained"
        )
    elif folder.is_dir() and (within := sorted(folder.glob(f"*/{CONFIG_FILE}"))):
        told += f", such as {within[-1].parent}"
    return [told]


def _damaged(folder: Path) -> list[str]:
    try:
        kind = _settings(folder).get("peft_type")
    except (OSError, ValueError, AttributeError) as error:
        return [f"{CONFIG_FILE} cannot be read: {error}"]
    problems = [] if kind == "LORA" else [f"peft_type {kind}: only LORA is supported"]
    return [*problems, *damage_of(folder / WEIGHTS_FILE)]


def _settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    return dict(settings.items())
