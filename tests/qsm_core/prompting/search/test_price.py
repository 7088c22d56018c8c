"""What a search and its controls cost at most."""

from __future__ import annotations

from dataclasses import replace

from qsm_core.data.config import SyntheticConfig
from qsm_core.prompting.config import OptimizePrompt, OptimizerSettings
from qsm_core.prompting.search.price import prices_of, search_work
from qsm_core.stage.workload import PlannedInput

CONFIG = OptimizePrompt(
    seed=1,
    instruction="Is it speech?",
    conditions=("snr_0dB", "dur_100ms", "clean"),
    iterations=4,
    candidates=8,
    clips=132,
)
CORPUS = {"corpus": PlannedInput(None, SyntheticConfig(dev_clips=60))}


def test_a_search_races_candidates_and_scores_finalists_on_all_within_its_budget() -> None:
    # (1 + 4 x 8) candidates x 132 pairs, and (1 + 1) finalists x what is left of 60 clips x 3;
    # the search and two controls.
    assert search_work(CONFIG, CORPUS).amount == 3 * (33 * 132 + 2 * 48)
    within = search_work(replace(CONFIG, budget=4000), CORPUS)
    assert within.text == "at most 12,000 predictions"


def test_the_plan_shows_what_controls_and_the_optimizer_llm_cost() -> None:
    config = replace(
        CONFIG,
        budget=4000,
        proposers=("templates", "llm"),
        optimizer=OptimizerSettings(served=True),
    )
    ((title, rows),) = search_work(config, CORPUS).details.items()
    assert title == "Prompt searches, at most"
    # A step asks for 8 answers, and twice again for those that were not valid: 4 x 8 x 3 = 96.
    assert [tuple(row.values()) for row in rows] == [
        ("search: templates, llm", "4,000", "96"),
        ("control: templates", "4,000", ""),
        ("control: paraphrases by the optimizer LLM", "4,000", "96"),
    ]
    by_rules = prices_of(CONFIG, None)
    assert [one.llm_answers for one in by_rules] == [0] * 3
    assert by_rules[2].way.endswith("by rules")


def test_the_price_on_clips_of_the_user_that_were_not_read_is_unknown() -> None:
    work = search_work(CONFIG, {"corpus": PlannedInput(None)})
    assert work.amount is None
    rows = work.details["Prompt searches, at most"]
    assert {row["clip-prompts"] for row in rows} == {"known once its inputs are made"}
