"""Whether the budget of a search holds a step: told before anything is queued.

For the synthetic corpus the parameters say it; for the user's clips their manifest does, once it is
prepared.
"""

from __future__ import annotations

from pathlib import Path

from flows.speech.lists import condition_keys
from flows.speech.parameters import PipelineParameters
from qsm_core.data.clip_counts import count_conditions
from qsm_core.errors import ConfigurationError
from qsm_core.prompting.search.price import budget_problem, rows_of_each

_CLASSES = 2
_FIELD = "opro_budget"


def budget_problems(parameters: PipelineParameters) -> list[str]:
    """Return why the budget of a search on synthetic clips is too small, with the least."""
    p = parameters
    if p.opro_budget is None or p.data is not None or p.dev_clips is None:
        return []
    conditions = count_conditions(condition_keys(p.conditions))
    queues = _CLASSES * conditions
    each = rows_of_each(p.dev_clips // _CLASSES, queues, _block_clips(p))
    problem = budget_problem(
        _FIELD,
        p.opro_budget,
        whole=p.dev_clips * conditions,
        first_block=each * queues,
        candidates=p.opro_candidates,
        finalists=p.opro_finalists,
    )
    return [] if problem is None else [problem]


def check_search(parameters: PipelineParameters, corpus: Path) -> None:
    """Refuse a search that cannot be made on the dev clips of a prepared corpus.

    Args:
        parameters: Of the search.
        corpus: Folder of the corpus.

    Raises:
        ConfigurationError: The budget holds no step; says what it has to be at least.
        DataError: A condition lacks dev clips of a class.
    """
    from qsm_core.data.corpus import Corpus  # with pandas: late, so that forms are quick
    from qsm_core.evaluation.scoring.renderings import plan_renderings
    from qsm_core.prompting.search.blocks import deal_blocks

    p = parameters
    if p.opro_budget is None:
        return
    plan = plan_renderings(Corpus.open(corpus), condition_keys(p.conditions), "dev")
    problem = budget_problem(
        _FIELD,
        p.opro_budget,
        whole=len(plan),
        first_block=len(deal_blocks(plan, _block_clips(p), p.seed)[0]),
        candidates=p.opro_candidates,
        finalists=p.opro_finalists,
    )
    if problem is not None:
        raise ConfigurationError("the search has too small a budget", [problem])


def _block_clips(parameters: PipelineParameters) -> int:
    """Return the size of a block, which is not larger than a race."""
    return min(parameters.opro_block_clips, parameters.opro_clips or parameters.opro_block_clips)
