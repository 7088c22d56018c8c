"""Parameters of `optimize_prompt`: those of the main job that a search reads, and one more."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, create_model

from flows.form.validation import parse_model
from flows.run.settings import RunSettings
from flows.speech.parameters import PANELS as PIPELINE_PANELS
from flows.speech.parameters import PipelineParameters
from flows.speech.parsing import parse_parameters
from flows.speech.roles import BASE, LORA
from qsm_core.evaluation.systems import System

# Of the main job, and nothing for a search: how an adapter is trained, and other detectors.
_WITHOUT = {"instruction_base", "instruction_lora", "baselines", "num_seeds", "lora_seeds"}
_TRAINING = ("lora_targets", "class_weights")  # from the first to the last of them

PANELS = {
    **{name: text for name, text in PIPELINE_PANELS.items() if name not in {*_WITHOUT, "adapter"}},
    "opro_iterations": "Prompt search",
    "eval_shards": "Run",
}


def _shared_fields() -> dict[str, Any]:
    """Return the fields that a search shares with the main job, each with its own limits."""
    names = list(PipelineParameters.model_fields)
    first, last = (names.index(name) for name in _TRAINING)
    left_out = {*names[first : last + 1], *_WITHOUT, *RunSettings.model_fields}
    fields = PipelineParameters.model_fields
    return {
        name: (fields[name].annotation, copy(fields[name]))
        for name in names
        if name not in left_out
    }


OptimizeParameters: type[BaseModel] = create_model(
    "OptimizeParameters",
    __base__=RunSettings,
    __doc__="Search the instruction that makes a model the best detector. "
    "An empty field takes the value of the preset.",
    **_shared_fields(),
    evaluate=(
        bool,
        Field(
            True,
            description="Evaluate the first instruction and the winner on the test clips, "
            "with a report.",
        ),
    ),
)


@dataclass(frozen=True)
class OptimizeRun:
    """A search of an instruction.

    Attributes:
        parameters: Of the stages, as the main job has them.
        evaluate: Whether the test clips are scored in the end.
    """

    parameters: PipelineParameters
    evaluate: bool

    @property
    def system(self) -> System:
        """The model: the base model, or with an adapter the LoRA model."""
        return BASE if self.parameters.adapter is None else LORA


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
