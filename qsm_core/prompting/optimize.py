"""Stage `optimize_prompt`: search for the instruction that makes a model the best detector on dev.

Inputs: `corpus` (a prepared corpus, or the part of one with its dev clips), `model`, optional
`adapter` and `rirs`, `pool` (a file with instructions) and `optimizer` (the folder of the LLM that
proposes) for the proposers that need them. Candidates race on blocks of dev; the best few and the
seed instruction are scored on all of dev, and the best of these wins. Test clips are never read.

Output: best_prompt.txt and .json, candidates.csv, opro_history.json, trajectory.jsonl, controls.csv
(what simpler ways reach at the same price) and best_control.txt,
dev_metrics.json of the winner, dev_predictions.parquet of winner and seed instruction, and
optimizer_llm.jsonl with every prompt and answer if an LLM was used.

    python -m qsm_core.prompting.optimize --spec spec.json
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from typing import Any

from qsm_core.conditions.config import AS_RECORDED
from qsm_core.data.corpus import Corpus
from qsm_core.evaluation.scoring.renderings import load_rir_bank, plan_renderings, render_plan
from qsm_core.inference.scorer_loading import open_scorer
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.models.savings import Savings
from qsm_core.prompting.config import ControlName, OptimizePrompt
from qsm_core.prompting.proposers import Proposer
from qsm_core.prompting.proposers.registry import (
    ANSWERS_FILE,
    Proposing,
    open_proposers,
)
from qsm_core.prompting.search.blocks import blocks_within, deal_blocks
from qsm_core.prompting.search.budget import Budget
from qsm_core.prompting.search.controls import control_table
from qsm_core.prompting.search.dev_blocks import DevBlocks
from qsm_core.prompting.search.dev_scorer import DevScorer, score_blocks
from qsm_core.prompting.search.fruitless import require_answers
from qsm_core.prompting.search.instruction_search import InstructionSearch
from qsm_core.prompting.search.live_page import LiveSearch
from qsm_core.prompting.search.output_files import scored_once, write_controls, write_output
from qsm_core.prompting.search.page_path import SEARCH_PAGE
from qsm_core.prompting.search.trajectory import Trajectory
from qsm_core.prompting.texts.candidates import text_problem
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

TRAJECTORY_FILE = "trajectory.jsonl"
_AT_ONCE = 8  # candidates that share one pass over system turn and audio


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What a search needs: the model, and its scorer on dev."""

    llm: AudioLLM
    scorer: DevScorer
    answer_format: str
    special_tokens: tuple[str, ...]

    def problem_of(self, text: str) -> str | None:
        """Return why a text cannot be a candidate, or None."""
        return text_problem(text, self.answer_format, self.special_tokens)


def run(context: StageContext) -> dict[str, Any]:
    """Search; a stage that was killed continues after the last block that was scored.

    Raises:
        InterruptedStageError: The stage was asked to stop; every scored block is kept.
        ConfigurationError: The configuration cannot work.
        DataError: Dev lacks a class or a condition, or the work folder is that of another search.
        ModelError: The model or the adapter cannot be used, or the optimizer LLM wrote nothing that
            can be scored.
    """
    started = time.monotonic()
    config = parse_config(OptimizePrompt, context.config)
    corpus = Corpus.open(context.inputs["corpus"])
    plan = plan_renderings(corpus, config.conditions, "dev")
    most = config.clips or config.block_clips
    blocks = deal_blocks(plan, min(config.block_clips, most), config.seed)
    dev = DevBlocks(plan, blocks, blocks_within(blocks, config.clips))
    budget = Budget(config.budget, dev, config.finalists)
    path = context.work / TRAJECTORY_FILE
    live = LiveSearch(context, path, budget.most(config.most_candidates))
    context = replace(context, report=live.report)
    ready = _prepare(config, context, corpus, dev)
    prepared = time.monotonic()
    with open_proposers(_proposing(config, ready), context, ready.llm) as proposers:
        trajectory = Trajectory(path)
        search = InstructionSearch(config, proposers.of_search, trajectory, ready.problem_of, dev)
        _run_search(search, ready.scorer, context)
        require_answers(trajectory, path, context.work / ANSWERS_FILE)
        raced: dict[str, InstructionSearch] = {}
        for name in config.controls:
            proposer = proposers.of_control(name)
            raced[name] = _run_control(name, proposer, search, config, context, ready)
    answers = context.work / ANSWERS_FILE
    if answers.is_file():
        shutil.copyfile(answers, context.out / ANSWERS_FILE)
    seconds = {"preparation": prepared - started, "search": time.monotonic() - prepared}
    summary = write_output(context.out, context.work / TRAJECTORY_FILE, search, seconds)
    controls = control_table(search, raced, config.objective)
    write_controls(context.out, controls)
    (context.out / SEARCH_PAGE).write_text(live.page(), encoding="utf-8")
    return summary | {
        "controls": dict(zip(controls["way"], controls["score"], strict=True)),
        "clip_prompts": scored_once(search, *raced.values()),
        "objective": config.objective,
        "dev_clips": len(plan),
        "device": ready.llm.reason,
    }


def _prepare(
    config: OptimizePrompt, context: StageContext, corpus: Corpus, dev: DevBlocks
) -> _Prepared:
    """Render dev, load the model, and encode every clip-condition once."""
    waveforms = render_plan(
        corpus,
        dev.plan,
        config.render,
        load_rir_bank(context.inputs.get("rirs")),
        as_recorded=config.conditions == AS_RECORDED,
    )
    context.report(0, len(dev.plan), "loading the model")
    scorer = open_scorer(
        context,
        quantization=config.quantization,
        dtype=config.dtype,
        system_prompt=config.system_prompt,
        short_clips=config.short_clips,
        savings=Savings(answer_rows=True),
    )

    def report(done: int, total: int, message: str) -> None:
        context.stop_if_requested("every scored block is kept")
        context.report(done, total, message)

    answer = score_blocks(scorer, scorer.encode(waveforms, report), dev, config.answer_format)
    at_once = int(context.runtime.get("candidates_at_once") or _AT_ONCE)
    tokens = tuple(sorted(scorer.llm.tokenizer.get_added_vocab()))
    kept = DevScorer(dev, answer, context.work / "blocks", at_once)
    return _Prepared(scorer.llm, kept, config.answer_format, tokens)


def _proposing(config: OptimizePrompt, ready: _Prepared) -> Proposing:
    return Proposing(
        names=config.proposers,
        optimizer=config.optimizer,
        objective=config.objective,
        answer_format=config.answer_format,
        problem_of=ready.problem_of,
    )


def _run_control(
    name: ControlName,
    proposer: Proposer,
    search: InstructionSearch,
    config: OptimizePrompt,
    context: StageContext,
    ready: _Prepared,
) -> InstructionSearch:
    """Race other candidates at the price of the search; what both score is scored only once."""
    budget = max(search.budget.spent, search.budget.least(config.candidates))
    settings = replace(config, budget=budget, patience=0)
    trajectory = Trajectory(context.work / f"control_{name}.jsonl")
    control = InstructionSearch(settings, proposer, trajectory, ready.problem_of, ready.scorer.dev)
    _run_search(control, ready.scorer, context)
    return control


def _run_search(search: InstructionSearch, scorer: DevScorer, context: StageContext) -> None:
    """Score what the search requests until it has ended."""
    total = search.most_clip_prompts
    while (job := search.ask()) is not None:
        context.stop_if_requested(
            f"{search.budget.spent} clip-prompts and {len(search.history)} candidates are kept"
        )
        search.tell(scorer.predictions(job.texts, job.block))
        best = f"best {search.best_by_iteration[-1]:.4f}" if search.best_by_iteration else ""
        context.report(search.budget.spent, total, f"clip-prompts scored, {best}".strip(", "))


if __name__ == "__main__":
    run_entry(run)
