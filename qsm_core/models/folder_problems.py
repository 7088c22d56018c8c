"""What keeps a folder from being a loadable model, found from its files without torch."""

from __future__ import annotations

import json
from pathlib import Path

from qsm_core.models.architectures import ARCHITECTURES
from qsm_core.models.weight_files import has_packed_weights, weight_problems


def model_folder_problems(folder: Path) -> list[str]:
    """List what keeps `folder` from being a loadable audio LLM."""
    if not folder.is_dir():
        return [f"{folder} is no folder"]
    weights = weight_problems(folder)
    return [
        *_architecture_problems(folder / "config.json"),
        *(weights or _quantized_problems(folder)),
        *_tokenizer_problems(folder),
        *_processor_problems(folder),
    ]


def text_model_problems(folder: Path) -> list[str]:
    """List what keeps `folder` from being a loadable text model that follows instructions."""
    if not folder.is_dir():
        return [f"{folder} is no folder"]
    problems = [] if (folder / "config.json").is_file() else ["config.json is missing"]
    problems += [*weight_problems(folder), *_tokenizer_problems(folder)]
    settings = folder / "tokenizer_config.json"
    has_template = settings.is_file() and '"chat_template"' in settings.read_text(encoding="utf-8")
    if not has_template and not (folder / "chat_template.jinja").is_file():
        problems.append("chat_template.jinja is missing: needed is an instruction-tuned model")
    return problems


def _tokenizer_problems(folder: Path) -> list[str]:
    """List what is missing or damaged of a tokenizer: one file, or vocabulary and merges."""
    whole, parts = folder / "tokenizer.json", [folder / "vocab.json", folder / "merges.txt"]
    if whole.is_file():
        return _json_problems(whole)
    there = [part for part in parts if part.is_file()]
    if not there:
        return ["tokenizer.json is missing"]
    missing = [f"{part.name} (or tokenizer.json) is missing" for part in parts if part not in there]
    return [*missing, *(_json_problems(parts[0]) if parts[0] in there else [])]


def _processor_problems(folder: Path) -> list[str]:
    names = ("processor_config.json", "preprocessor_config.json")
    there = [folder / name for name in names if (folder / name).is_file()]
    if not there:
        return [f"{names[0]} (or {names[1]}) is missing"]
    return [problem for file in there for problem in _json_problems(file)]


def _json_problems(file: Path) -> list[str]:
    """Tell a file that was cut off, or that is the pointer of Git LFS."""
    try:
        whole = isinstance(json.loads(file.read_bytes()), dict)
    except ValueError:
        whole = False
    if whole:
        return []
    size = file.stat().st_size
    return [f"{file.name} is not whole ({size} bytes, no JSON object): copy or download it again"]


def _architecture_problems(path: Path) -> list[str]:
    if not path.is_file():
        return ["config.json is missing"]
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        return ["config.json is not a JSON object"]
    if found not in ARCHITECTURES:
        allowed = ", ".join(map(repr, ARCHITECTURES))
        return [f"config.json has model_type {found!r}: supported are {allowed}"]
    return []


def _quantized_problems(folder: Path) -> list[str]:
    """Tell weights that were saved in a quantized form: by the configuration, or by their names."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        given = config.get("quantization_config")
        named = "" if given is None else str(given.get("quant_method", "an unknown"))
    except (OSError, ValueError, AttributeError):
        return []  # reported before
    if not named and has_packed_weights(folder):
        named = "GPTQ or AWQ"
    if not named:
        return []
    return [
        f"its weights are stored in {named} form, which cannot be loaded exactly or trained: give "
        "the model with plain weights, and quantization 'nf4' where four bits are wanted"
    ]
