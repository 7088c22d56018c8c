"""The parameters of each search: those of stage 5 may differ from those of stage 4.

`opro_lora` holds NAME=VALUE for the search of the LoRA model; all other settings are shared. What
only one of the two searches reads (the optimizer LLM, the pool) is not given to the other.

Nothing heavy is imported here, so that a wrong flag is answered at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flows.form.validation import field_problems
from flows.speech.filling import filled
from flows.speech.lists import proposer_names
from flows.speech.parameters import PipelineParameters
from flows.speech.roles import BASE, LORA
from qsm_core.evaluation.systems import System
from qsm_core.prompting.config import USE_LLM

_FIELD = "opro_lora"
_PREFIX = "opro_"
_LLM = (
    "optimizer_model",
    "optimizer_revision",
    "optimizer_url",
    "optimizer_secret",
)


def search_names() -> list[str]:
    """Return the fields of a search that `opro_lora` can set."""
    starts = (_PREFIX, "optimizer_")
    fields = PipelineParameters.model_fields
    return [name for name in fields if name.startswith(starts) and name != _FIELD]


def lora_search_problems(parameters: PipelineParameters) -> list[str]:
    """List what is wrong with the texts of `opro_lora`."""
    problems = []
    values: dict[str, Any] = {}
    for text in parameters.opro_lora:
        name, value = _parts(text)
        if not value:
            problems.append(f"{_FIELD} = {text!r}: needed is NAME=VALUE, such as iterations=15")
        elif name not in search_names():
            known = ", ".join(one.removeprefix(_PREFIX) for one in search_names())
            problems.append(f"{_FIELD} = {text!r}: there is no such setting; there are: {known}")
        elif name in values:
            problems.append(f"{_FIELD} = {text!r}: {name} is given twice")
        else:
            values[name] = value
    wrong = field_problems(PipelineParameters, values)
    return [*problems, *(f"{_FIELD}: {problem}" for problem in wrong)]


def search_of(parameters: PipelineParameters, system: System) -> PipelineParameters:
    """Return the parameters as the search for a system has them.

    Args:
        parameters: Filled, and without problems in `opro_lora`.
        system: The base model or a LoRA model.
    """
    if not parameters.opro_lora:
        return parameters
    for_lora = filled(parameters.model_copy(update=_given(parameters.opro_lora)))
    if system.adapter is None:
        return _without_what_only_another_reads(parameters, for_lora)
    return _without_what_only_another_reads(for_lora, parameters)


def search_variants(parameters: PipelineParameters) -> list[PipelineParameters]:
    """Return the parameters of each different search that a run makes."""
    made = [search_of(parameters, one) for one in (BASE, LORA) if parameters.is_searched(one)]
    return made if len(made) < 2 or made[0] != made[1] else made[:1]


def _parts(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    name = name.strip().replace("-", "_")
    return (name if name in search_names() else f"{_PREFIX}{name}"), value.strip()


def _given(texts: Sequence[str]) -> dict[str, Any]:
    """Return the values of `opro_lora`, of the types of their fields."""
    values: Any = dict(map(_parts, texts))
    read = PipelineParameters.model_validate(values)
    return {name: getattr(read, name) for name in values}


def _without_what_only_another_reads(
    mine: PipelineParameters, other: PipelineParameters
) -> PipelineParameters:
    own, others = set(proposer_names(mine)), set(proposer_names(other))
    unread: dict[str, None] = {}
    if "pool" in others - own:
        unread["opro_pool"] = None
    if USE_LLM & others and not USE_LLM & own:
        unread |= dict.fromkeys(_LLM)
    return mine.model_copy(update=unread)
