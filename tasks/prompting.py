"""The stages that optimise prompts."""

from __future__ import annotations

from qsm_core.prompting.config import API_KEY_VARIABLE, OptimizePrompt
from qsm_core.prompting.search.page_path import SEARCH_PAGE
from qsm_core.prompting.search.price import search_work
from tasks.stage_task import stage
from tasks.traits import MODEL, MODEL_RUNTIME, TABLES
from tasks.workers.call import Receipt, StageCall
from tasks.workers.secrets import SecretSource

OPTIMIZER_KEY = SecretSource(API_KEY_VARIABLE, "optimizer_secret")


@stage(
    entry="qsm_core.prompting.optimize",
    config=OptimizePrompt,
    resource="gpu",
    libraries=(*MODEL, *TABLES, "scikit-learn", "scipy"),
    package_data=("qsm_core/prompting/*.json", "qsm_core/inference/*.json"),
    runtime=(*MODEL_RUNTIME, "optimizer_url", "candidates_at_once"),
    work=search_work,
    done="clip_prompts",
    page=SEARCH_PAGE,
    secret=OPTIMIZER_KEY,
)
def optimize_prompt(call: StageCall) -> Receipt:
    """Search the instruction that makes a model the best detector on dev."""
    return call.run()
