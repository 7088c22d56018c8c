"""Fields that hold several values with commas between.

Nothing heavy is imported here, so that a wrong flag is answered at once.
"""

from __future__ import annotations

from flows.speech.parameters import PipelineParameters
from qsm_core.conditions.config import AS_RECORDED, STANDARD, Conditions
from qsm_core.conditions.grid import STANDARD_GRID, parse_conditions
from qsm_core.errors import ConfigurationError

_NONE = "none"


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
