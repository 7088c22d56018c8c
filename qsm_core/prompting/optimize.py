"""Stage `optimize_prompt`: search the instruction that makes a model the best detector on dev.

Inputs: `corpus` (a prepared corpus, or the part of one with its dev clips), `model`, optional
`adapter` and `rirs`, `pool` (a file with instructions) and `optimizer` (the folder of the LLM that
proposes) for the proposers that need them. Every candidate is scored on the same clip-conditions of
dev; the best few and the seed instruction are scored on all of dev, and the best of these wins.
Test clips are never read.

Output: best_prompt.txt and .json, candidates.csv, opro_history.json, trajectory.jsonl,
dev_metrics.json of the winner, dev_predictions.parquet of winner and seed instruction, and
optimizer_llm.jsonl where an LLM was asked: every prompt and answer.

    python -m qsm_core.prompting.optimize --spec spec.json
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from qsm_core.conditions.rendering import RenderSettings
from qsm_core.data.corpus import Corpus
from qsm_core.evaluation.predictions import COLUMNS
from qsm_core.evaluation.renderings import (
    AS_RECORDED,
    STANDARD,
    load_rir_bank,
    plan_renderings,
    render_plan,
)
from qsm_core.evaluation.scored_clips import predictions_of
from qsm_core.inference.prompt import DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.scoring import AudioFeatures, InstructionScorer
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.encoder_cache import open_encoder_cache
from qsm_core.models.loaded import AudioLLM
from qsm_core.models.savings import Savings
from qsm_core.prompting.candidates import text_problem
from qsm_core.prompting.dev_set import choose_subset
from qsm_core.prompting.finals import Finals
from qsm_core.prompting.live import LiveSearch
from qsm_core.prompting.output import write_output
from qsm_core.prompting.pages import SEARCH_PAGE
from qsm_core.prompting.proposer_names import ProposerName
from qsm_core.prompting.proposers.opening import (
    ANSWERS_FILE,
    OptimizerSettings,
    Proposing,
    opened_proposer,
)
from qsm_core.prompting.scored import Objective, measure
from qsm_core.prompting.search import InstructionSearch, SearchSettings
from qsm_core.prompting.trajectory import Trajectory
from qsm_core.store.context import StageContext, parse_config
from qsm_core.store.entry import run_entry

TRAJECTORY_FILE = "trajectory.jsonl"
_AT_ONCE = 8  # candidates that share one pass over system turn and audio


@dataclass(frozen=True)
class OptimizePrompt:
    """What changes the winner.

    Args:
        seed: Of the proposals and of the subset of dev.
        seed_instruction: What the search starts from; the winner is never worse than it on dev.
        num_iterations: How often new candidates are proposed.
        candidates_per_step: New candidates in one iteration.
        clips_per_candidate: Clip-conditions on which each candidate is scored, evenly over
            conditions and classes; null: all of dev.
        finalists: Best candidates that are scored on all of dev, beside the seed instruction.
        patience: End after so many iterations without a better candidate; null: never.
        objective: "reward", "balanced_accuracy" or "log_loss".
        proposers: Who proposes, in turn.
        optimizer: The LLM of the proposers `llm` and `paraphrase`; null: there is none.
        conditions: Condition keys, "standard", or "as_recorded".
        answer_format: "auto" lets each candidate be answered as it asks.
        system_prompt: The system turn of every prompt.
        quantization: "none" or "nf4".
        dtype: "auto", "float32", "bfloat16" or "float16".
        short_clips: What to do with a clip too short for one audio token.
        render: What all renderings share.
    """

    seed: int
    seed_instruction: str
    num_iterations: Annotated[int, Field(ge=0)] = 15
    candidates_per_step: Annotated[int, Field(ge=1)] = 8
    clips_per_candidate: Annotated[int, Field(ge=2)] | None = None
    finalists: Annotated[int, Field(ge=1)] = 3
    patience: Annotated[int, Field(ge=1)] | None = 5
    objective: Objective = "reward"
    proposers: Annotated[tuple[ProposerName, ...], Field(min_length=1)] = (
        "templates",
        "recombination",
    )
    optimizer: OptimizerSettings | None = None
    conditions: tuple[str, ...] | str = STANDARD
    answer_format: Literal["auto", "labels", "ab", "mc", "open"] = "auto"
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    short_clips: Literal["refuse", "pad"] = "refuse"
    render: RenderSettings = field(default_factory=RenderSettings)

    @property
    def search(self) -> SearchSettings:
        """The part of it that the search itself needs."""
        return SearchSettings(
            seed=self.seed,
            seed_instruction=self.seed_instruction,
            num_iterations=self.num_iterations,
            candidates_per_step=self.candidates_per_step,
            objective=self.objective,
            patience=self.patience,
            finalists=self.finalists,
        )


@dataclass(frozen=True, eq=False)
class DevScorer:
    """Scores instructions on dev; the audio is encoded once for all of them.

    Attributes:
        llm: The model.
        scorer: Of the model.
        features: The audio of all clip-conditions of dev.
        plan: All clip-conditions of dev.
        subset: Positions in it of those on which every candidate is scored.
        answer_format: Of the search.
        special_tokens: Of the model's tokenizer; an instruction must not hold them.
        device: Where the model runs and why.
    """

    llm: AudioLLM
    scorer: InstructionScorer
    features: AudioFeatures
    plan: pd.DataFrame
    subset: np.ndarray
    answer_format: str
    special_tokens: tuple[str, ...]
    device: str

    def problem_of(self, text: str) -> str | None:
        """Say why a text cannot be a candidate, or None."""
        return text_problem(text, self.answer_format, self.special_tokens)

    def score(self, texts: list[str], rows: np.ndarray) -> list[pd.DataFrame]:
        """Return the predictions of each instruction on the clip-conditions at `rows`."""
        features, plan = self.features.take(rows), self.plan.iloc[rows].reset_index(drop=True)
        scores = self.scorer.score_many(features, texts, self.answer_format)
        return [
            predictions_of(plan, one, "candidate", text)[list(COLUMNS)]
            for text, one in zip(texts, scores, strict=True)
        ]


def run(context: StageContext) -> dict[str, Any]:
    """Search; a stage that was killed goes on behind the last candidates that were scored.

    Raises:
        InterruptedStageError: The stage was asked to stop; every scored candidate is kept.
        ConfigurationError: The configuration cannot work.
        DataError: Dev lacks a class or a condition, or the work folder is that of another search.
        ModelError: The model or the adapter cannot be used.
    """
    started = time.monotonic()
    config = parse_config(OptimizePrompt, context.config)
    trajectory = Trajectory(context.work / TRAJECTORY_FILE)
    dev = _prepare_dev(config, context)
    live = LiveSearch(context, context.work / TRAJECTORY_FILE, _planned(config, dev))
    context = replace(context, report=live.report)
    prepared = time.monotonic()
    with opened_proposer(_proposing(config, dev), context, dev.llm) as proposer:
        search = InstructionSearch(config.search, proposer, trajectory, dev.problem_of)
        _search_all(search, dev, config, context)
    finals = Finals(trajectory, context.work / "finalists", config.objective)
    _score_finalists(search, finals, dev, context)
    answers = context.work / ANSWERS_FILE
    if answers.is_file():
        shutil.copyfile(answers, context.out / ANSWERS_FILE)
    seconds = {"preparation": prepared - started, "search": time.monotonic() - prepared}
    summary = write_output(context.out, context.work / TRAJECTORY_FILE, search, finals, seconds)
    (context.out / SEARCH_PAGE).write_text(live.page(), encoding="utf-8")
    return summary | {
        "objective": config.objective,
        "clips_per_candidate": len(dev.subset),
        "dev_clips": len(dev.plan),
        "device": dev.device,
    }


def _prepare_dev(config: OptimizePrompt, context: StageContext) -> DevScorer:
    """Render dev, load the model, and encode every clip-condition once."""
    corpus = Corpus.open(context.inputs["corpus"])
    plan = plan_renderings(corpus, config.conditions, "dev")
    subset = choose_subset(plan, config.clips_per_candidate, config.seed)
    waveforms = render_plan(
        corpus,
        plan,
        config.render,
        load_rir_bank(context.inputs.get("rirs")),
        as_recorded=config.conditions == AS_RECORDED,
    )
    if context.runtime.get("threads") is not None:
        torch.set_num_threads(int(context.runtime["threads"]))
    context.report(0, len(plan), "loading the model")
    llm = load_audio_llm(
        context.inputs["model"],
        adapter=context.inputs.get("adapter"),
        quantization=config.quantization,
        device=context.runtime.get("device", "auto"),
        dtype=config.dtype,
    )
    scorer = InstructionScorer(
        llm,
        system_prompt=config.system_prompt,
        batch_size=context.runtime.get("batch_size"),
        encoder_cache=open_encoder_cache(llm, context.runtime.get("encoder_cache")),
        savings=Savings(answer_rows=True),
        short_clips=config.short_clips,
    )

    def report(done: int, total: int, message: str) -> None:
        context.stop_if_requested("every scored candidate is kept")
        context.report(done, total, message)

    features = scorer.encode(waveforms, report)
    return DevScorer(
        llm,
        scorer,
        features,
        plan,
        subset,
        config.answer_format,
        tuple(sorted(llm.tokenizer.get_added_vocab())),
        llm.reason,
    )


def _planned(config: OptimizePrompt, dev: DevScorer) -> int:
    """Return the clip-prompts that a search uses at most."""
    candidates = 1 + config.num_iterations * config.candidates_per_step
    return candidates * len(dev.subset) + (1 + config.finalists) * len(dev.plan)


def _proposing(config: OptimizePrompt, dev: DevScorer) -> Proposing:
    return Proposing(
        names=config.proposers,
        optimizer=config.optimizer,
        objective=config.objective,
        answer_format=config.answer_format,
        problem_of=dev.problem_of,
    )


def _search_all(
    search: InstructionSearch, dev: DevScorer, config: OptimizePrompt, context: StageContext
) -> None:
    at_once = int(context.runtime.get("candidates_at_once") or _AT_ONCE)
    total = 1 + config.num_iterations * config.candidates_per_step
    while (asked := search.ask()) is not None:
        context.stop_if_requested(f"{len(search.history)} scored candidates are kept")
        group = asked.candidates[:at_once]
        tables = dev.score([one.text for one in group], dev.subset)
        for candidate, table in zip(group, tables, strict=True):
            entry = search.tell(asked.iteration, candidate, measure(table))
            best = search.best_by_iteration[-1]
            context.report(entry.number + 1, total, f"candidates scored, best {best:.4f}")


def _score_finalists(
    search: InstructionSearch, finals: Finals, dev: DevScorer, context: StageContext
) -> None:
    finalists = search.finalists()
    everything = np.arange(len(dev.plan))
    for done, entry in enumerate(finalists):
        context.report(done, len(finalists), "finalists scored on all of dev")
        if not finals.has(entry.number):
            context.stop_if_requested(f"all candidates and {done} finalists are kept")
            finals.add(entry, dev.score([entry.candidate.text], everything)[0])


if __name__ == "__main__":
    run_entry(run)
