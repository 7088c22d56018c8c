"""A whole search on the embedded model, in seconds, against `generate` for every candidate.

Run by `python -m benchmarks.prompt_search --end-to-end`. Dev is a synthetic corpus (extra `demo`)
in all conditions but those with a room. Measured are the search as the stage runs it, the same
search without the shared prefix, and the stock path of transformers on one instruction (`generate`,
clips padded to 30 s, its best batch size); what stock would take for all candidates on all of dev
is that rate times their number.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.scoring import describe_device, score_stock
from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.grid import STANDARD_GRID, Dimension
from qsm_core.data.corpus import Corpus
from qsm_core.data.synthetic import run as make_corpus
from qsm_core.evaluation.scoring.renderings import plan_renderings, render_plan
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.identity import EMBEDDED_FOLDER
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.models.savings import Savings
from qsm_core.prompting.config import BLOCK_CLIPS, SearchSettings
from qsm_core.prompting.proposers import Chain, RecombinationProposer, TemplateProposer
from qsm_core.prompting.search.blocks import deal_blocks
from qsm_core.prompting.search.dev_blocks import DevBlocks
from qsm_core.prompting.search.dev_scorer import DevScorer, score_blocks
from qsm_core.prompting.search.instruction_search import InstructionSearch
from qsm_core.prompting.search.trajectory import Trajectory
from qsm_core.prompting.texts.candidates import text_problem
from qsm_core.prompting.texts.templates import baseline
from qsm_core.stage.context import StageContext

CLIPS = 30
_STOCK_CLIPS = 24
_STOCK_BATCHES = (1, 8)
_SETTINGS = SearchSettings(
    seed=1,
    instruction=baseline().text,
    iterations=4,
    candidates=8,
    objective="reward",
    patience=0,
)


@dataclass(frozen=True)
class Taken:
    """What one search took."""

    seconds: float
    clip_prompts: int
    candidates: int
    winner: str


def print_seconds(clips: int = CLIPS) -> None:
    """Measure and print the table.

    Args:
        clips: Of dev, each in 18 conditions.
    """
    torch.set_num_threads(1)
    llm = load_audio_llm(EMBEDDED_FOLDER, device="cpu")
    describe_device(llm)
    with tempfile.TemporaryDirectory() as name:
        dev, waveforms = _make_dev(Path(name), clips)
        shared = _search(llm, dev, waveforms, Path(name) / "shared", Savings(answer_rows=True))
        alone = Savings(answer_rows=True, shared_prefix=False)
        whole = _search(llm, dev, waveforms, Path(name) / "whole", alone)
    rate = min(_stock_seconds(llm, waveforms[:_STOCK_CLIPS], b) for b in _STOCK_BATCHES)
    rate /= _STOCK_CLIPS
    everything = shared.candidates * len(dev.plan)
    print(f"{shared.candidates} candidates, {clips} dev clips x 18 conditions\n")
    print("| way | clip-prompts | seconds | stock / this |")
    print("|---|---:|---:|---:|")
    stock = everything * rate
    print(f"| stock generate, all of dev (from {_STOCK_CLIPS}) | {everything} | {stock:.0f} | 1 |")
    for name, one in (("race, whole prompts", whole), ("race, shared prefix", shared)):
        ratio = stock / one.seconds
        print(f"| {name} | {one.clip_prompts} | {one.seconds:.1f} | {ratio:.1f} |")
    print(f"\nsame winner: {shared.winner == whole.winner}: {shared.winner}")


def _make_dev(folder: Path, clips: int) -> tuple[DevBlocks, list[np.ndarray]]:
    folder.joinpath("corpus").mkdir()
    config = {"seed": 3, "train_clips": 4, "dev_clips": clips, "test_clips": 4}
    make_corpus(
        StageContext(config, {}, folder / "corpus", folder, {}, lambda *_: None, lambda: None)
    )
    corpus = Corpus.open(folder / "corpus")
    keys = [one.key for one in STANDARD_GRID if one.dimension is not Dimension.REVERB]
    plan = plan_renderings(corpus, keys, "dev")
    blocks = deal_blocks(plan, BLOCK_CLIPS, seed=1)
    dev = DevBlocks(plan, blocks, len(blocks))
    return dev, render_plan(corpus, plan, RenderSettings(seed=1))


def _search(
    llm: AudioLLM, dev: DevBlocks, waveforms: Sequence[np.ndarray], folder: Path, savings: Savings
) -> Taken:
    """Search, the encoding of dev included."""
    folder.mkdir()
    started = time.monotonic()
    scorer = InstructionScorer(llm, savings=savings)
    answer = score_blocks(scorer, scorer.encode(waveforms), dev, "auto")
    kept = DevScorer(dev, answer, folder, at_once=_SETTINGS.candidates)
    search = InstructionSearch(
        _SETTINGS,
        Chain([TemplateProposer(), RecombinationProposer()]),
        Trajectory(folder / "trajectory.jsonl"),
        text_problem,
        dev,
    )
    while (job := search.ask()) is not None:
        search.tell(kept.predictions(job.texts, job.block))
    winner = search.history[search.winner.number].candidate.text
    seconds = time.monotonic() - started
    return Taken(seconds, search.budget.spent, len(search.history), winner)


def _stock_seconds(llm: AudioLLM, waveforms: Sequence[np.ndarray], batch: int) -> float:
    score_stock(llm, waveforms[:1], baseline().text, 1)  # warms up
    started = time.monotonic()
    score_stock(llm, waveforms, baseline().text, batch)
    return time.monotonic() - started
