"""The settings of the first system, `config.yaml` and `pipeline_config.yaml`, for `--config`.

What means something here becomes a parameter; everything else is named in a note, so that nobody
takes a value for set that is not. A setting is found by its own name and those of the sections
around it, in capitals or not, since its two files spell and nest the same settings differently.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.form.settings_file import SettingsFile

# By the ends of their paths, the longest first.
_DIRECT = {
    "training.base_model": "model",
    "model.name": "model",
    "model_name": "model",
    "lora.r": "lora_rank",
    "lora_r": "lora_rank",
    "lora.alpha": "lora_alpha",
    "lora.lora_alpha": "lora_alpha",
    "lora_alpha": "lora_alpha",
    "lora.dropout": "lora_dropout",
    "lora.lora_dropout": "lora_dropout",
    "lora_dropout": "lora_dropout",
    "learning_rate": "learning_rate",
    "num_epochs": "epochs",
    "num_train_epochs": "epochs",
    "training.epochs": "epochs",
    "warmup_ratio": "warmup_fraction",
    "gradient_checkpointing": "gradient_checkpointing",
    "training.prompt_template": "instruction",
    "splits.seed": "seed",
    "random_seed": "seed",
    "base_duration_ms": "clip_ms",
    "paths.experimental_variants": "data",
}
_EFFECTIVE_BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")
_MLP = "gate_proj"
_MODEL, _PRESET = "Qwen2-Audio-7B-Instruct", "qwen2-audio-7b"
_SECTIONS = frozenset({"training", "experimental_design", "audio_processing", "smoke_test", "lora"})
_MARK = "prototype_mode"
_MOST_NAMED = 60


def first_system_settings(content: Mapping[Any, Any], path: Path) -> SettingsFile | None:
    """Read settings of the first system; None where a file is none of its own.

    Args:
        content: What the file holds.
        path: The file.
    """
    names = {str(name).lower() for name in content}
    nested = {str(name).lower() for name, value in content.items() if isinstance(value, Mapping)}
    if not nested & _SECTIONS and _MARK not in names:
        return None
    settings = dict(_leaves(content))
    values: dict[str, Any] = {}
    used: set[str] = set()
    for place, value in settings.items():
        name = _meaning(place)
        if name is not None and name not in values:
            values[name] = value
            used.add(place)
    for derive in (_batch, _targets, _quantization, _seeds, _pool, _baselines):
        found, places = derive(settings, path)
        values = found | values
        used |= places
    if str(values.get("model")).endswith(_MODEL):
        values |= {"preset": _PRESET}  # which also pins the model's commit
        del values["model"]
    left = [place for place in settings if place not in used]
    return SettingsFile(_usable(values), tuple(_notes(path, values, left)))


def _leaves(content: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        place = f"{before}{str(name).lower()}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{place}.")
        else:
            yield place, value


def _meaning(place: str) -> str | None:
    parts = place.split(".")
    ends = (".".join(parts[at:]) for at in range(len(parts)))
    return next((_DIRECT[end] for end in ends if end in _DIRECT), None)


Derived = tuple[dict[str, Any], set[str]]


def _last(settings: Mapping[str, Any], name: str) -> str | None:
    return next((place for place in settings if place.split(".")[-1] == name), None)


def _batch(settings: Mapping[str, Any], _: Path) -> Derived:
    """The clips of an update: micro-batch x accumulation, or the batch size of a training."""
    places = {place for name in _EFFECTIVE_BATCH if (place := _last(settings, name)) is not None}
    if len(places) == 2:
        first, second = (int(settings[place]) for place in places)
        return {"effective_batch_size": first * second}, places
    place = next((one for one in settings if one.endswith("training.batch_size")), None)
    return ({}, set()) if place is None else ({"effective_batch_size": settings[place]}, {place})


def _targets(settings: Mapping[str, Any], _: Path) -> Derived:
    place = _last(settings, "target_modules")
    if place is None:
        return {}, set()
    with_mlp = _MLP in settings[place]
    return {"lora_targets": "attention+mlp" if with_mlp else "attention"}, {place}


def _quantization(settings: Mapping[str, Any], _: Path) -> Derived:
    place = _last(settings, "load_in_4bit")
    if place is None:
        return {}, set()
    details = {one for one in settings if one.split(".")[-1].startswith("bnb_4bit_")}
    return {"quantization": "nf4" if settings[place] else "none"}, {place, *details}


def _seeds(settings: Mapping[str, Any], _: Path) -> Derived:
    place = next((one for one in settings if one.endswith("training.seeds")), None)
    seeds = [] if place is None else list(settings[place])
    if place is None or not seeds:
        return {}, set()
    consecutive = seeds == list(range(seeds[0], seeds[0] + len(seeds)))
    more = {"num_seeds": len(seeds)} if consecutive else {}
    return {"seed": seeds[0]} | more, {place} if consecutive or len(seeds) == 1 else set()


def _pool(settings: Mapping[str, Any], path: Path) -> Derived:
    """The file itself is a pool: its templates are read by `opro_pool`."""
    place = next((one for one in settings if one.endswith("prompt_search.templates")), None)
    if place is None:
        return {}, set()
    return {"opro_pool": str(path), "opro_proposers": "pool,recombination"}, {place}


def _baselines(settings: Mapping[str, Any], _: Path) -> Derived:
    detectors = {"silero_vad": "silero", "webrtc_vad": "webrtc"}
    places = {
        place: name
        for place in settings
        for section, name in detectors.items()
        if place.endswith(f"{section}.enabled")
    }
    names = [name for place, name in places.items() if settings[place]]
    return ({"baselines": ",".join([*names, "energy"])} if names else {}), set(places)


def _usable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out a data folder that is not on this machine: it was that of another one."""
    data = values.get("data")
    there = data is None or Path(str(data)).expanduser().exists()
    return {name: value for name, value in values.items() if name != "data" or there}


def _notes(path: Path, values: Mapping[str, Any], left: list[str]) -> Iterator[str]:
    taken = ", ".join(f"{name}={value}" for name, value in _usable(values).items())
    yield f"{path}: settings of the first system; taken: {taken or 'none'}"
    if set(values) - set(_usable(values)):
        yield f"{path}: {values['data']} is not on this machine; give --data"
    if left:
        more = len(left) - _MOST_NAMED
        named = ", ".join(left[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        yield f"{path}: of no meaning here, and not read: {named}"
