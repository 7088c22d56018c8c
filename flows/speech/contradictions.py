"""What is wrong between the fields of a form, which no field can say alone."""

from __future__ import annotations

from flows.run.settings import settings_problems
from flows.speech.budget import budget_problems
from flows.speech.lists import (
    class_weights,
    condition_keys,
    control_names,
    detector_names,
    training_seeds,
)
from flows.speech.optimizer import optimizer_problems
from flows.speech.parameters import PipelineParameters
from qsm_core.data.clip_counts import count_conditions
from qsm_core.errors import ConfigurationError
from qsm_core.models.baselines.registry import baseline_problems
from qsm_core.prompting.config import CONTROLS
from qsm_core.training.config import training_problems


def contradictions(parameters: PipelineParameters) -> list[str]:
    """List what is wrong between fields that are filled."""
    problems = []
    if parameters.data is None and parameters.preset != "embedded":
        problems.append(
            f"data is empty: preset {parameters.preset} needs your labelled clips; "
            "give a folder with speech/ and nonspeech/, or a manifest"
        )
    if parameters.dev_fraction + parameters.test_fraction >= 1:
        problems.append(
            f"dev_fraction + test_fraction = "
            f"{parameters.dev_fraction + parameters.test_fraction:g}: "
            "nothing is left for training; their sum must be below 1"
        )
    problems += _seed_problems(parameters)
    problems += training_problems(
        parameters.lora_targets or "attention",
        parameters.tune_encoder,
        parameters.micro_batch_size,
        parameters.effective_batch_size,
    )
    problems += settings_problems(parameters)
    problems += baseline_problems(detector_names(parameters))
    wrong_conditions = _condition_problems(parameters.conditions)
    problems += wrong_conditions
    if parameters.searches:
        if not wrong_conditions:
            problems += _too_few_clips_to_search(parameters)
            problems += budget_problems(parameters)
        problems += _control_problems(parameters)
        problems += optimizer_problems(parameters)
    return problems


def _seed_problems(parameters: PipelineParameters) -> list[str]:
    p = parameters
    given = f"lora_seeds = {p.lora_seeds!r}" if p.lora_seeds else f"num_seeds = {p.num_seeds}"
    problems = []
    if p.adapter is not None and (p.lora_seeds or p.num_seeds > 1):
        problems.append(
            f"{given}: an existing adapter is given, so nothing is trained; leave num_seeds at 1 "
            "and lora_seeds empty"
        )
    if p.adapter is not None and p.loss != "cross_entropy":
        problems.append(f"loss = {p.loss!r}: an existing adapter is given, so nothing is trained")
    if p.lora_seeds and p.num_seeds > 1:
        problems.append(
            f"{given}: num_seeds = {p.num_seeds} would name other seeds; give one of the two"
        )
    for read in (training_seeds, class_weights):
        try:
            read(p)
        except ConfigurationError as error:
            problems += error.problems
    return problems


def _condition_problems(text: str) -> list[str]:
    try:
        condition_keys(text)
    except ConfigurationError as error:
        return [f"conditions: {problem}" for problem in error.problems]
    return []


def _control_problems(parameters: PipelineParameters) -> list[str]:
    return [
        f"opro_controls = {name!r}: there is no such control; there are: {', '.join(CONTROLS)}; "
        "or none"
        for name in control_names(parameters)
        if name not in CONTROLS
    ]


def _too_few_clips_to_search(parameters: PipelineParameters) -> list[str]:
    """Tell a search that cannot hear both classes in every condition; a stage would end on it."""
    if parameters.conditions == "as_recorded" or parameters.opro_clips is None:
        return []
    count = count_conditions(condition_keys(parameters.conditions))
    if parameters.opro_clips >= 2 * count:
        return []
    return [
        f"opro_clips = {parameters.opro_clips}: the search needs a clip of each class in each of "
        f"{count} conditions, {2 * count} pairs or more"
    ]
