"""From the names of proposers to the one that a search asks; the optimizer LLM is opened for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from qsm_core.errors import ConfigurationError
from qsm_core.models.loaded import AudioLLM
from qsm_core.models.parking import parked
from qsm_core.models.text.endpoint import Endpoint, EndpointLLM
from qsm_core.models.text.local import LocalLLM, LocalModel
from qsm_core.models.text.protocol import TextLLM
from qsm_core.models.text.remembered import RememberedLLM
from qsm_core.prompting.config import (
    API_KEY_VARIABLE,
    ASKING,
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
    """What the proposers of a search are made from.

    Attributes:
        names: Of the proposers, in turn.
        optimizer: The LLM of `llm` and `paraphrase`; None: there is none.
        objective: What the scores are.
        answer_format: Of the search.
        problem_of: Says why a text cannot be a candidate.
    """

    names: Sequence[ProposerName]
    optimizer: OptimizerSettings | None
    objective: str
    answer_format: str
    problem_of: Callable[[str], str | None]


@dataclass(frozen=True)
class Proposers:
    """Whom a search and its controls ask.

    Attributes:
        of_search: Asked by the search.
        of_control: Returns whom a control asks.
    """

    of_search: Proposer
    of_control: Callable[[ControlName], Proposer]


@contextmanager
def opened_proposers(
    proposing: Proposing, context: StageContext, scorer: AudioLLM
) -> Iterator[Proposers]:
    """Give a search and its controls their proposers; the LLM is freed behind the block.

    Args:
        proposing: What it is made from.
        context: Of the stage: input `pool` for the proposer of that name, `optimizer` for a model
            that is not served; runtime `optimizer_url`.
        scorer: Leaves the device to the optimizer LLM where it has to.

    Raises:
        ConfigurationError: A proposer lacks what it needs.
    """
    with ExitStack() as stack:
        needed = ASKING & set(proposing.names)
        llm = None
        if proposing.optimizer is not None and needed:
            opened = stack.enter_context(_opened(proposing.optimizer, context, scorer))
            llm = RememberedLLM(opened, context.work / ANSWERS_FILE)
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
        known = (baseline(), *templates())
        return TemplateProposer([one for one in known if proposing.problem_of(one.text) is None])
    if name == "recombination":
        return RecombinationProposer()
    if name == "paraphrase":
        return ParaphraseProposer(llm, before_call=before_call)
    if name == "pool":
        if "pool" not in context.inputs:
            raise _lacks("pool", "the input `pool`, a file with instructions")
        return PoolProposer(read_pool(context.inputs["pool"]).entries)
    if llm is None:
        raise _lacks("llm", "`optimizer`: which LLM to ask")
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
        # The only way for a key: nothing of it is written anywhere.
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
    local = LocalLLM(model, park=lambda: parked(scorer))
    try:
        yield local
    finally:
        local.free()


def _lacks(name: str, what: str) -> ConfigurationError:
    return ConfigurationError("the search cannot start", [f"proposer {name!r} needs {what}"])
