"""Fields that hold several values with commas between.

Nothing heavy is imported here, so that a wrong flag is answered at once.
"""

from __future__ import annotations

from typing import cast

from flows.speech.parameters import PipelineParameters
from qsm_core.conditions.config import AS_RECORDED, STANDARD, Conditions
from qsm_core.conditions.grid import STANDARD_GRID, parse_conditions
from qsm_core.errors import ConfigurationError
from qsm_core.training.config import ClassWeights

_NONE = "none"
_UNUSABLE = "the parameters cannot be used"
_LARGEST_WEIGHT = 1000


def listed(text: str) -> list[str]:
    """Return the values of a text, in order and each once."""
    return list(dict.fromkeys(_parts(text)))


def detector_names(parameters: PipelineParameters) -> list[str]:
    """Return the plain detectors that the parameter `baselines` names."""
    return _listed_or_none(parameters.baselines)


def control_names(parameters: PipelineParameters) -> list[str]:
    """Return what the parameter `opro_controls` names."""
    return _listed_or_none(parameters.opro_controls)


def proposer_names(parameters: PipelineParameters) -> list[str]:
    """Return what the parameter `opro_proposers` names."""
    return listed(str(parameters.opro_proposers))


def training_seeds(parameters: PipelineParameters) -> list[int]:
    """Return the seeds of the LoRA models: those of `lora_seeds`, or `num_seeds` from `seed` on.

    Raises:
        ConfigurationError: The text has none, one twice, or something that is no seed.
    """
    p = parameters
    if p.lora_seeds is None:
        return list(range(p.seed, p.seed + p.num_seeds))
    parts = _parts(p.lora_seeds)
    wrong = [part for part in parts if not (part.isdecimal() and int(part) < 2**31)]
    needed = "needed are different whole numbers from 0, such as 42,123,456,789,2024"
    if wrong or not parts:
        found = ", ".join(map(repr, wrong)) or "there is none"
        raise ConfigurationError(_UNUSABLE, [f"lora_seeds = {p.lora_seeds!r}: {found}; {needed}"])
    seeds = [int(part) for part in parts]
    if len(set(seeds)) < len(seeds):
        raise ConfigurationError(
            _UNUSABLE, [f"lora_seeds = {p.lora_seeds!r}: one stands there twice; {needed}"]
        )
    return seeds


def class_weights(parameters: PipelineParameters) -> ClassWeights:
    """Read the parameter `class_weights`: a word, or the weights of SPEECH and NONSPEECH.

    Raises:
        ConfigurationError: It is neither.
    """
    text = parameters.class_weights
    if text in ("equal", "balanced"):
        return cast("ClassWeights", text)
    try:
        speech, nonspeech = map(float, _parts(text))
    except ValueError:
        speech = nonspeech = 0.0
    if not (0 < speech <= _LARGEST_WEIGHT and 0 < nonspeech <= _LARGEST_WEIGHT):
        problem = (
            f"class_weights = {text!r}: allowed are equal, balanced, and two numbers above 0 for "
            "SPEECH and NONSPEECH, such as 2,1"
        )
        raise ConfigurationError(_UNUSABLE, [problem])
    return speech, nonspeech


def condition_keys(text: str) -> Conditions:
    """Read the parameter `conditions`: "as_recorded", or the keys that are meant.

    Raises:
        ConfigurationError: There is no key, or one is unknown or stands twice.
    """
    if text == STANDARD:
        return tuple(condition.key for condition in STANDARD_GRID)
    if text == AS_RECORDED:
        return text
    keys = _parts(text)
    if not keys:
        problem = f"{text!r} names none; give keys, {STANDARD}, or {AS_RECORDED}"
        raise ConfigurationError("the conditions cannot be used", [problem])
    return tuple(condition.key for condition in parse_conditions(keys))


def _listed_or_none(text: str) -> list[str]:
    names = listed(text)
    return [] if names == [_NONE] else names


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
