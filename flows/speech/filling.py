"""Empty parameters of the main job, filled from the preset."""

from __future__ import annotations

from flows.speech.clip_fields import SYNTHETIC_FIELDS
from flows.speech.optimizer import optimizer_fields_to_leave
from flows.speech.parameters import PipelineParameters
from flows.speech.presets import PRESETS

_SHARDS_OF_A_CLUSTER = 4


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
