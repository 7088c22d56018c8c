"""Values into the parameters of the main job: validated, filled from the preset, cross-checked."""

from __future__ import annotations

from typing import Any

from flows.form.validation import parse_model
from flows.speech.clip_fields import SYNTHETIC_FIELDS, wrong_for_clips
from flows.speech.contradictions import contradictions
from flows.speech.optimizer import optimizer_fields_to_leave
from flows.speech.parameters import PipelineParameters
from flows.speech.presets import PRESETS
from qsm_core.errors import ConfigurationError

_SHARDS_OF_A_CLUSTER = 4


def parse_parameters(values: dict[str, Any]) -> PipelineParameters:
    """Validate `values`, fill them from the preset, and check what one field cannot say alone.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    given = parse_model(PipelineParameters, values)
    parameters = filled(given)
    problems = [*wrong_for_clips(given), *contradictions(parameters)]
    if problems:
        raise ConfigurationError("the parameters cannot be used", problems)
    return parameters


def filled(parameters: PipelineParameters) -> PipelineParameters:
    """Return a copy with every empty field filled, from the preset where it has a value."""
    values = PRESETS[parameters.preset]
    missing = {
        "eval_shards": 1 if parameters.is_local else _SHARDS_OF_A_CLUSTER,
        "name": f"{parameters.preset}-seed{parameters.seed}",
        **values,
    }
    empty = {name: value for name, value in missing.items() if getattr(parameters, name) is None}
    if parameters.data is not None:
        empty = {name: value for name, value in empty.items() if name not in SYNTHETIC_FIELDS}
    for name in optimizer_fields_to_leave(parameters, str(values["opro_proposers"])):
        empty.pop(name, None)
    return parameters.model_copy(update=empty)
