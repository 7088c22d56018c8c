"""The proposers of a search and the optimizer LLM: what the parameters ask for, and what they lack.

Nothing here imports Prefect or torch at once, so that a wrong flag is answered at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from flows.speech.lists import listed, proposer_names
from flows.speech.parameters import PipelineParameters
from qsm_core.errors import ConfigurationError
from qsm_core.models.identity import TEXT_LLM, model_input
from qsm_core.models.text.endpoint import needs_key, url_problem
from qsm_core.prompting.config import (
    API_KEY_VARIABLE,
    PROPOSER_NAMES,
    USE_LLM,
    OptimizerSettings,
)
from qsm_core.store.spec import StageInput

_TITLE = "the optimizer LLM cannot be used"


_MODEL = ("optimizer_model", "optimizer_revision")


def optimizer_fields_to_leave(parameters: PipelineParameters, proposers: str) -> tuple[str, ...]:
    """Return the fields that no preset fills: the user means another LLM, or none.

    Args:
        parameters: Before they are filled.
        proposers: Of the preset.
    """
    p = parameters
    another = p.optimizer_url is not None or p.optimizer_model is not None
    return _MODEL if another or not USE_LLM & set(listed(p.opro_proposers or proposers)) else ()


def optimizer_problems(parameters: PipelineParameters) -> list[str]:
    """List what is wrong with the proposers, the pool and the optimizer LLM."""
    p, names = parameters, proposer_names(parameters)
    allowed = ", ".join(PROPOSER_NAMES)
    problems = [
        f"opro_proposers = {name!r}: there is no such proposer; there are: {allowed}"
        for name in names
        if name not in PROPOSER_NAMES
    ]
    if not names:
        problems.append(f"opro_proposers is empty: name one at least of {allowed}")
    return [*problems, *_pool_problems(p, names), *_llm_problems(p, names)]


def _pool_problems(p: PipelineParameters, names: list[str]) -> list[str]:
    if p.opro_pool is None:
        if "pool" in names:
            return ["opro_pool is empty: proposer 'pool' needs a file of instructions"]
        return []
    if "pool" not in names:
        return [f"opro_pool = {p.opro_pool!r}: is not read; add pool to opro_proposers"]
    from qsm_core.prompting.texts.pool import read_pool

    try:
        read_pool(Path(p.opro_pool).expanduser())
    except ConfigurationError as error:
        return [f"opro_pool: {problem}" for problem in error.problems]
    return []


def _llm_problems(p: PipelineParameters, names: list[str]) -> list[str]:
    problems = []
    if p.optimizer_model is not None and not USE_LLM & set(names):
        problems.append(
            f"optimizer_model = {p.optimizer_model!r}: is not asked; add llm to opro_proposers"
        )
    if "llm" in names and p.optimizer_model is None:
        where = " as the server calls it" if p.optimizer_url else ", or optimizer_url as well"
        problems.append(f"optimizer_model is empty: proposer 'llm' needs the name of an LLM{where}")
    if p.optimizer_url is None:
        if p.optimizer_secret is not None:
            problems.append(
                f"optimizer_secret = {p.optimizer_secret!r}: optimizer_url is empty, and a model "
                "on this machine needs no key"
            )
        return problems
    wrong = url_problem(p.optimizer_url)
    if wrong is not None:
        # Not the address itself: it may hold a password.
        problems.append(f"optimizer_url: {wrong}")
    if p.optimizer_model is None and "llm" not in names:
        problems.append("optimizer_url: is not asked; add llm to opro_proposers")
    return problems


def uses_llm(parameters: PipelineParameters) -> bool:
    """Return whether a proposer uses an optimizer LLM."""
    with_llm = bool(USE_LLM & set(proposer_names(parameters)))
    return with_llm and parameters.optimizer_model is not None


def optimizer_settings(parameters: PipelineParameters) -> OptimizerSettings | None:
    """Return how the optimizer LLM of a search is run, None where no proposer uses one."""
    p = parameters
    if not uses_llm(p):
        return None
    if p.optimizer_url is None:
        return OptimizerSettings(
            served=False,
            quantization=p.optimizer_quantization or "none",
            temperature=p.optimizer_temperature,
        )
    return OptimizerSettings(
        served=True, model=p.optimizer_model, temperature=p.optimizer_temperature
    )


def local_optimizer(parameters: PipelineParameters) -> str | None:
    """Return the name of the LLM that a search loads here, None where it needs none."""
    p = parameters
    needed = p.searches and uses_llm(p) and p.optimizer_url is None
    return str(p.optimizer_model) if needed else None


def optimizer_inputs(parameters: PipelineParameters) -> dict[str, StageInput]:
    """Return the optimizer LLM as an input of a search, where no server runs it.

    Raises:
        ModelError: The model is missing, incomplete or not pinned.
    """
    name = local_optimizer(parameters)
    if name is None:
        return {}
    found = model_input(name, parameters.optimizer_revision, TEXT_LLM)
    return {"optimizer": found}


def optimizer_runtime(parameters: PipelineParameters) -> dict[str, str]:
    """Return where the LLM is served and which block holds the key; neither changes a key."""
    p = parameters
    if not uses_llm(p) or p.optimizer_url is None:
        return {}
    secret = {} if p.optimizer_secret is None else {"secret": p.optimizer_secret}
    return {"optimizer_url": p.optimizer_url, **secret}


def check_key(parameters: PipelineParameters, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse a search that would ask for a key which is not there.

    Raises:
        ConfigurationError: Says where the key may come from.
    """
    p = parameters
    if not optimizer_runtime(p):
        return
    if p.optimizer_secret is not None:
        from tasks.prompting import OPTIMIZER_KEY  # loads Prefect

        OPTIMIZER_KEY.read(p.optimizer_secret)
    elif needs_key(str(p.optimizer_url)) and not environment.get(API_KEY_VARIABLE):
        problem = (
            f"optimizer_url = {p.optimizer_url!r}: a server behind https is taken to ask for a "
            "key. Give the name of a Prefect Secret block in optimizer_secret, or set "
            f"{API_KEY_VARIABLE} ('none' where it asks for none)"
        )
        raise ConfigurationError(_TITLE, [problem])
