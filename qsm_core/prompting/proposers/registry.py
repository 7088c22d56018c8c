"""Make the proposers of a search from their names, and open the optimizer LLM for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from qsm_core.errors import ConfigurationError
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.models.offloading import offloaded
from qsm_core.models.text.cached import CachedLLM
from qsm_core.models.text.endpoint import Endpoint, EndpointLLM
from qsm_core.models.text.local import LocalLLM, LocalModel
from qsm_core.models.text.protocol import TextLLM
from qsm_core.prompting.config import (
    API_KEY_VARIABLE,
    USE_LLM,
    ControlName,
    OptimizerSettings,
    ProposerName,
)
from qsm_core.prompting.proposers.fixed import PoolProposer, TemplateProposer
from qsm_core.prompting.proposers.opro import OproProposer
from qsm_core.prompting.proposers.paraphrase import ParaphraseProposer
from qsm_core.prompting.proposers.protocol import Chain, Proposer
from qsm_core.prompting.proposers.recombination import RecombinationProposer
from qsm_core.prompting.texts.pool import read_pool
from qsm_core.prompting.texts.templates import baseline, templates
from qsm_core.stage.context import StageContext

ANSWERS_FILE = "optimizer_llm.jsonl"
_OF_CONTROL: dict[ControlName, ProposerName] = {
    "templates": "templates",
    "paraphrases": "paraphrase",
}


@dataclass(frozen=True)
class Proposing:
    """The settings of the proposers of a search.

    Attributes:
        names: Names of the proposers, in turn.
        optimizer: The LLM of `llm` and `paraphrase`; None: there is none.
        objective: What the scores are.
        answer_format: Answer format of the search.
        problem_of: Returns why a text cannot be a candidate, or None.
    """

    names: Sequence[ProposerName]
    optimizer: OptimizerSettings | None
    objective: str
    answer_format: str
    problem_of: Callable[[str], str | None]


@dataclass(frozen=True)
class Proposers:
    """The proposers of a search and of its controls.

    Attributes:
        of_search: The proposer of the search.
        of_control: Returns the proposer of a control.
    """

    of_search: Proposer
    of_control: Callable[[ControlName], Proposer]


@contextmanager
def open_proposers(
    proposing: Proposing, context: StageContext, scorer: AudioLLM
) -> Iterator[Proposers]:
    """Open the proposers of a search and its controls; the LLM is freed after the `with` block.

    Args:
        proposing: The settings.
        context: That of the stage: input `pool` for that proposer, `optimizer` for a model
            that is not served; runtime `optimizer_url`.
        scorer: Leaves the device to the optimizer LLM if both do not fit.

    Raises:
        ConfigurationError: A proposer lacks what it needs.
    """
    with ExitStack() as stack:
        needed = USE_LLM & set(proposing.names)
        llm = None
        if proposing.optimizer is not None and needed:
            opened = stack.enter_context(_opened(proposing.optimizer, context, scorer))
            llm = CachedLLM(opened, context.work / ANSWERS_FILE)
        yield Proposers(
            Chain([_proposer(name, proposing, context, llm) for name in proposing.names]),
            lambda control: _proposer(_OF_CONTROL[control], proposing, context, llm),
        )


def _proposer(
    name: ProposerName, proposing: Proposing, context: StageContext, llm: TextLLM | None
) -> Proposer:
    def before_call() -> None:
        context.stop_if_requested("every scored candidate is kept")

    if name == "templates":
        fixed = (baseline(), *templates())
        return TemplateProposer([item for item in fixed if proposing.problem_of(item.text) is None])
    if name == "recombination":
        return RecombinationProposer()
    if name == "paraphrase":
        return ParaphraseProposer(llm, before_call=before_call)
    if name == "pool":
        if "pool" not in context.inputs:
            raise _lacks("pool", "the input `pool`, a file with instructions")
        return PoolProposer(read_pool(context.inputs["pool"]).entries)
    if llm is None:
        raise _lacks("llm", "`optimizer`: which LLM to use")
    return OproProposer(
        llm,
        objective=proposing.objective,
        answer_format=proposing.answer_format,
        before_call=before_call,
    )


@contextmanager
def _opened(
    settings: OptimizerSettings, context: StageContext, scorer: AudioLLM
) -> Iterator[TextLLM]:
    if settings.served:
        url = context.runtime.get("optimizer_url")
        if not url or not settings.model:
            raise _lacks("llm", "optimizer.model and the runtime value optimizer_url")
        # The key comes only from the environment, so that it is written nowhere.
        key = os.environ.get(API_KEY_VARIABLE)
        endpoint = Endpoint(str(url), settings.model, key, settings.temperature)
        with EndpointLLM(endpoint) as served:
            yield served
        return
    if "optimizer" not in context.inputs:
        raise _lacks("llm", "the input `optimizer`, the folder of the LLM")
    model = LocalModel(
        context.inputs["optimizer"],
        settings.quantization,
        settings.temperature,
        device=context.runtime.get("device", "auto"),
    )
    local = LocalLLM(model, make_room=lambda: offloaded(scorer))
    try:
        yield local
    finally:
        local.free()


def _lacks(name: str, what: str) -> ConfigurationError:
    return ConfigurationError("the search cannot start", [f"proposer {name!r} needs {what}"])
