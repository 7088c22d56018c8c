"""ANIMAL-SPOT.pk: the weights that ANIMAL-SPOT leaves, as a detector of the window form.

Only tensors and plain values are read (`weights_only`), so the file runs no code. The layers are
found by name where they are those of a ResNet18, and the last one by its shape.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qsm_core.detection.detectors.front_end import Spectrogram
from qsm_core.detection.detectors.network import ResNet18
from qsm_core.detection.detectors.trained import Description, TrainedDetector
from qsm_core.errors import ModelError

_PARTS = ("encoderState", "classifierState", "dataOpts", "classes")
_PRE_EMPHASIS = 0.98
_NOISE = "noise"


def load_animal_spot(path: Path, *, target: str | None = None) -> TrainedDetector:
    """Read a model of ANIMAL-SPOT.

    Args:
        path: The file.
        target: The class to detect; by default the one that is not noise.

    Raises:
        ModelError: The file is no such model, holds objects, or another network.
    """
    title = f"{path}: cannot be read as a model of ANIMAL-SPOT"
    try:
        values: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise ModelError(title, [str(error).splitlines()[0]]) from error
    missing = [name for name in _PARTS if name not in values]
    if missing:
        raise ModelError(title, [f"{name}: is missing" for name in missing])
    options, classes = values["dataOpts"], {str(k): int(v) for k, v in values["classes"].items()}
    chosen = _target(classes, target, title)
    weights = _weights(values["encoderState"], values["classifierState"], title)
    width, outputs = weights["conv1.weight"].shape[0], weights["head.weight"].shape[0]
    network = ResNet18(width, framewise=False, classes=outputs)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(title, [str(error).replace("\n", " ")]) from error
    rate = int(options["sr"])
    description = Description(
        form="window",
        width=width,
        sequence_s=float(options.get("sequence_len", options.get("sequence_length", 500))) / 1000,
        spectrogram=Spectrogram(
            sample_rate_hz=rate,
            n_fft=int(options["n_fft"]),
            hop_length=int(options["hop_length"]),
            bins=int(options["n_freq_bins"]),
            fmin_hz=float(options.get("fmin", 0)),
            fmax_hz=min(float(options.get("fmax", rate / 2)), rate / 2),
            pre_emphasis=float(options.get("preemphases", _PRE_EMPHASIS)),
            normalisation="min_max" if options.get("min_max_norm", True) else "zero_one",
            compression="nearest",
        ),
        label=chosen,
        classes=outputs,
        target=classes[chosen],
    )
    return TrainedDetector(description, network)


def _target(classes: Mapping[str, int], target: str | None, title: str) -> str:
    sounds = [name for name in classes if name != _NOISE]
    if target is not None and target not in classes:
        raise ModelError(title, [f"target = {target!r}: the classes are {', '.join(classes)}"])
    if target is None and len(sounds) != 1:
        raise ModelError(title, [f"name the class to detect: {', '.join(classes)}"])
    return target or sounds[0]


def _weights(
    encoder: Mapping[str, Tensor], classifier: Mapping[str, Tensor], title: str
) -> dict[str, Tensor]:
    found = {name.removeprefix("module."): value for name, value in encoder.items()}
    weights = {name: value for name, value in found.items() if not name.startswith("fc.")}
    last = [name for name, value in classifier.items() if value.ndim == 2]
    if len(last) != 1:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in classifier.items())
        raise ModelError(title, [f"classifierState: one matrix is expected, found {shapes}"])
    weights["head.weight"] = classifier[last[0]]
    weights["head.bias"] = classifier[last[0].removesuffix("weight") + "bias"]
    return weights
