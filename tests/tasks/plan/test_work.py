"""How much there is to do, against what the stages themselves say that they did."""

from __future__ import annotations

from tasks.plan.work import work_done, work_of

from qsm_core.store.manifest import Manifest
from qsm_core.store.spec import StageSpec

CONDITIONS = ["snr_0dB", "dur_100ms", "clean"]


def _clips(**numbers: int):
    return lambda _name, split, _conditions: numbers.get(split)


def test_an_evaluation_hears_every_clip_in_every_condition() -> None:
    work = work_of("evaluate", {"conditions": CONDITIONS}, _clips(test=40))
    assert (work.amount, work.told) == (120, "120 predictions")
    standard = work_of("evaluate", {"conditions": "standard"}, _clips(test=1000))
    assert standard.told == "22,000 predictions"
    assert work_of("evaluate", {"conditions": "as_recorded"}, _clips(test=7)).amount == 7


def test_further_instructions_are_asked_at_most_once_each() -> None:
    config = {"conditions": CONDITIONS, "asked": ["control", "lora"]}
    told = work_of("evaluate_further", config, _clips(test=40)).told
    assert told == "at most 240 predictions"


def test_shards_add_up_to_the_evaluation() -> None:
    # 40 clips are blocks of 16, 16 and 8: the first of two shards has two of the three.
    config = {"conditions": CONDITIONS, "shards": 2}
    amounts = [
        work_of("score_shard", {**config, "shard": n}, _clips(test=40)).amount for n in (0, 1)
    ]
    assert amounts == [80, 40]
    further = {**config, "asked": ["control", "lora"], "shard": 0}
    told = work_of("score_further_shard", further, _clips(test=40)).told
    assert told == "at most 160 predictions"


def test_a_training_takes_steps_of_renderings() -> None:
    # 240 clips x min(8, 3) renderings / 16 a step = 45 steps an epoch, 3 epochs.
    config = {"conditions": CONDITIONS, "renderings_per_clip": 8, "epochs": 3}
    assert work_of("train_lora", config, _clips(train=240)).told == "at most 135 training steps"


def test_a_search_races_candidates_and_scores_finalists_on_all_within_its_budget() -> None:
    # (1 + 4 x 8) candidates x 132 pairs, and (2 + 1) finalists x what is left of 60 clips x 3;
    # the search and two controls.
    config = {
        "conditions": CONDITIONS,
        "iterations": 4,
        "candidates": 8,
        "clips": 132,
    }
    assert work_of("optimize_prompt", config, _clips(dev=60)).amount == 3 * (33 * 132 + 3 * 48)
    within = work_of("optimize_prompt", {**config, "budget": 4000}, _clips(dev=60))
    assert within.told == "at most 12,000 predictions"


def test_a_search_tells_what_its_controls_and_the_optimizer_llm_cost() -> None:
    config = {
        "conditions": CONDITIONS,
        "iterations": 4,
        "candidates": 8,
        "budget": 4000,
        "proposers": ["templates", "llm"],
        "controls": ["templates", "paraphrases"],
    }
    # A step asks for 8 answers, and twice again for those that were not valid: 4 x 8 x 3 = 96.
    asked = work_of("optimize_prompt", config | {"optimizer": {"served": True}}, _clips(dev=60))
    assert [(one.way, one.clip_prompts, one.llm_answers) for one in asked.prices] == [
        ("search: templates, llm", 4000, 96),
        ("control: templates", 4000, 0),
        ("control: paraphrases by the optimizer LLM", 4000, 96),
    ]
    by_rules = config | {"proposers": ["templates", "recombination"]}
    assert [one.llm_answers for one in work_of("optimize_prompt", by_rules, _clips()).prices] == [
        0
    ] * 3
    assert work_of("optimize_prompt", by_rules, _clips()).prices[2].way.endswith("by rules")


def test_what_depends_on_a_corpus_that_is_not_made_is_unknown() -> None:
    for stage in ("evaluate", "evaluate_further", "score_shard", "train_lora", "optimize_prompt"):
        config = {"conditions": CONDITIONS, "iterations": 1, "candidates": 1}
        work = work_of(stage, config, _clips())
        assert work.amount is None
        assert work.told == "unknown until the corpus is made"
    assert work_of("make_report", {}, _clips()).told == ""


def _manifest(stage: str, config: dict[str, object], **summary: object) -> Manifest:
    return Manifest(StageSpec(stage, 1, "x", dict(config)), 1, {}, summary, {})  # type: ignore[arg-type]


def test_what_was_known_counts_as_no_work() -> None:
    assert work_done(_manifest("evaluate", {}, n_samples=100, n_asked=0)) == 0
    assert work_done(_manifest("score_shard", {}, n_samples=100, n_asked=60)) == 60
    assert work_done(_manifest("train_lora", {}, steps=45)) == 45
    assert work_done(_manifest("optimize_prompt", {}, clip_prompts=250)) == 250
