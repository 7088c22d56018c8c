"""Parameters of `optimize_prompt`: those of the main job that a search reads, and one more."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from flows.form.validation import parse_model
from flows.speech.parameters import PipelineParameters, parse_parameters

PANELS = {
    "preset": "Run",
    "data": "Data",
    "conditions": "Conditions",
    "model": "Model",
    "opro_iterations": "Prompt search",
    "optimizer_model": "Optimizer",
    "evaluate": "Run",
}
_RUN = ("preset", "seed", "name")
# Of the main job, and nothing for a search: how an adapter is trained, and other detectors.
_WITHOUT = {"instruction_base", "instruction_lora", "baselines", "num_seeds"}
_TRAINING = ("lora_targets", "effective_batch_size")  # from the first to the last of them
_NAMES = list(PipelineParameters.model_fields)
_LAST = _NAMES[_NAMES.index("force") :]  # how a run goes, told after what it is


def _shared() -> list[str]:
    """Return the names of the fields that a search shares with the main job, in their order."""
    first, last = (_NAMES.index(name) for name in _TRAINING)
    left_out = {*_NAMES[first : last + 1], *_WITHOUT, *_RUN, *_LAST}
    return [*_RUN, *(name for name in _NAMES if name not in left_out)]


def _fields(names: list[str]) -> dict[str, Any]:
    """Return fields of the main job under their names, each with its own description and limits."""
    fields = PipelineParameters.model_fields
    return {name: (fields[name].annotation, copy(fields[name])) for name in names}


OptimizeParameters: type[BaseModel] = create_model(
    "OptimizeParameters",
    __config__=ConfigDict(extra="forbid", frozen=True),
    __doc__="Search the instruction that makes a model the best detector. "
    "An empty field takes the value of the preset.",
    **_fields(_shared()),
    evaluate=(
        bool,
        Field(
            True,
            description="Evaluate the first instruction and the winner on the test clips, "
            "with a report.",
        ),
    ),
    **_fields(_LAST),
)


@dataclass(frozen=True)
class OptimizeRun:
    """What a search is asked for.

    Attributes:
        parameters: Of the stages, as the main job has them.
        evaluate: Whether the test clips are heard in the end.
    """

    parameters: PipelineParameters
    evaluate: bool

    @property
    def model(self) -> str:
        """What stages and tables call the model: base, or with an adapter lora."""
        return "base" if self.parameters.adapter is None else "lora"


def parse_optimize_parameters(values: dict[str, Any]) -> OptimizeRun:
    """Validate `values`, fill them from the preset, and check what one field cannot say alone.

    Raises:
        ConfigurationError: Names every field that is wrong, its value and what is allowed.
    """
    given = parse_model(OptimizeParameters, values).model_dump()
    evaluate = bool(given.pop("evaluate"))
    if given["name"] is None:
        given["name"] = f"optimize-{given['preset']}-seed{given['seed']}"
    return OptimizeRun(parse_parameters({**given, "baselines": "none"}), evaluate)
