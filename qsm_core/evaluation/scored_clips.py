"""The answers of one system to clips in conditions: asked now, or known from before.

The clips are worked through in blocks of `block_clips` clips, each with all its conditions. A block
is the least that is kept, given to a worker, or taken from an earlier output, and a batch never
crosses blocks. So on a CPU the answers have the same bits, whether one process asked for all of
them, several did, or one was killed and another went on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import torch
from pydantic import Field

from qsm_core.conditions.rendering import RenderSettings
from qsm_core.conditions.rirs import RirBank
from qsm_core.data.corpus import Corpus
from qsm_core.data.schema import Split
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.blocks import BlockFolder, KnownBlocks
from qsm_core.evaluation.predictions import COLUMNS, validate
from qsm_core.evaluation.renderings import (
    AS_RECORDED,
    STANDARD,
    load_rir_bank,
    plan_renderings,
    render_plan,
)
from qsm_core.evaluation.workload import BLOCK_CLIPS
from qsm_core.inference.answers import answer_choices
from qsm_core.inference.prompt import DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.scoring import (
    DEFAULT_MAX_NEW_TOKENS,
    AudioFeatures,
    InstructionScorer,
    Scores,
)
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.encoder_cache import open_encoder_cache
from qsm_core.store.context import VOLATILE_FOLDER, Report, StageContext
from qsm_core.store.digests import digest_bytes

PREDICTIONS_FILE = "predictions.parquet"
SYSTEM_FILE = "system.json"
TIMINGS_FILE = "timings.json"
INSTRUCTION_FILE = "best_prompt.txt"


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """What changes the answers.

    Args:
        system: Name of the system in tables and figures.
        instruction: What the model is asked; leave it out where the input `instruction` says it.
        split: Which clips; null for all.
        conditions: Condition keys (and "clean"), "standard", or "as_recorded".
        answer_format: "auto", "labels", "ab", "mc" or "open".
        system_prompt: The system turn of every prompt.
        quantization: "none" or "nf4".
        dtype: "auto", "float32", "bfloat16" or "float16".
        max_new_tokens: Longest open answer.
        short_clips: What to do with a clip too short for one audio token.
        block_clips: Clips in a block; all conditions of a clip are in the same one.
        render: What all renderings share.
    """

    system: Annotated[str, Field(min_length=1)]
    instruction: str | None = None
    split: Split | None = "test"
    conditions: tuple[str, ...] | str = STANDARD
    answer_format: Literal["auto", "labels", "ab", "mc", "open"] = "auto"
    system_prompt: str = DEFAULT_SYSTEM_PROMPT
    quantization: Literal["none", "nf4"] = "none"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    max_new_tokens: Annotated[int, Field(ge=1)] = DEFAULT_MAX_NEW_TOKENS
    short_clips: Literal["refuse", "pad"] = "refuse"
    block_clips: Annotated[int, Field(ge=1)] = BLOCK_CLIPS
    render: RenderSettings = field(default_factory=RenderSettings)


@dataclass(frozen=True)
class ScoredClips:
    """The answers of one system, and how they were come by.

    Args:
        predictions: The predictions table, clip by clip in the order of the corpus.
        instruction: What the model was asked.
        answer_format: How it was asked to answer.
        system: Device, dtype, placement and notes of the model that answered.
        timings: Seconds, batch size, blocks that were there already.
    """

    predictions: pd.DataFrame
    instruction: str
    answer_format: str
    system: dict[str, Any]
    timings: dict[str, Any]

    @property
    def asked(self) -> int:
        """How many predictions the model was asked for; the others were known."""
        return int(self.timings["asked"])

    @property
    def answer_mass(self) -> float | None:
        """Mean probability of the answers that could be given, None where none was scored."""
        mass = self.predictions["answer_mass"].mean()
        return None if pd.isna(mass) else float(mass)

    def write_notes(self, out: Path) -> None:
        """Write what may differ between two equal runs below an output."""
        folder = out / VOLATILE_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / TIMINGS_FILE, self.timings)
        _write_json(folder / SYSTEM_FILE, self.system)


def score_clips(
    config: ScoringConfig, context: StageContext, *, shard: int = 0, shards: int = 1
) -> ScoredClips:
    """Ask the system about the clips of one shard, or of the whole evaluation.

    The paths in `context.runtime["scored"]` are outputs in which a part of the same answers may
    already be. The model is loaded for the first block that is in none of them.

    Args:
        config: What to ask.
        context: Of the stage.
        shard: Which shard, from 0.
        shards: How many there are; the blocks are dealt to them in turn.

    Raises:
        ConfigurationError: The configuration cannot work, or there are more shards than blocks.
        DataError: The corpus, its split or a condition cannot be used.
        ModelError: The model or the adapter cannot be used.
    """
    started = time.monotonic()
    instruction = _instruction(config, context.inputs.get("instruction"))
    choices = answer_choices(instruction, config.answer_format)
    corpus = Corpus.open(context.inputs["corpus"])
    plan = plan_renderings(corpus, config.conditions, config.split)
    rirs = load_rir_bank(context.inputs.get("rirs"))
    blocks = _dealt(list(enumerate(cut_into_blocks(plan, config.block_clips))), shard, shards)
    work = _Scoring(config, context, corpus, rirs, instruction)
    tables = list(work.tables(blocks))
    return ScoredClips(
        predictions=validate(pd.concat(tables, ignore_index=True)),
        instruction=instruction,
        answer_format=str(choices.answer_format),
        system=work.system,
        timings={**work.timings, "seconds": time.monotonic() - started},
    )


def predictions_of(
    plan: pd.DataFrame, scores: Scores, system: str, instruction: str
) -> pd.DataFrame:
    """Join a plan and the answers to it: the predictions table.

    Args:
        plan: Rows of `plan_renderings`.
        scores: The answers to the same rows in the same order.
        system: Name of the system.
        instruction: What it was asked.
    """
    table = plan.drop(columns="row").assign(
        system=system,
        instruction_digest=instruction_digest(instruction),
        p_speech=scores.p_speech,
        margin=scores.margin,
        prediction=pd.array([_name(label) for label in scores.labels], dtype="str"),
        raw_text=scores.raw_text,
        parse_level=scores.parse_level,
        answer_mass=scores.answer_mass,
    )
    return table[list(COLUMNS)]


def instruction_digest(instruction: str) -> str:
    """Return the SHA-256 of an instruction's text."""
    return digest_bytes(instruction.encode("utf-8"))


Block = tuple[int, pd.DataFrame]


class _Scoring:
    """Asks one system; the model is loaded when the first answer is needed that is not known."""

    def __init__(
        self,
        config: ScoringConfig,
        context: StageContext,
        corpus: Corpus,
        rirs: RirBank | None,
        instruction: str,
    ) -> None:
        self._config = config
        self._context = context
        self._corpus = corpus
        self._rirs = rirs
        self._instruction = instruction
        self._scored = [Path(one) for one in context.runtime.get("scored", ())]
        self._kept = BlockFolder(context.work / "blocks")
        self._counts = {
            "predictions": 0,
            "asked": 0,
            "blocks": 0,
            "blocks_kept": 0,
            "blocks_known": 0,
        }
        self._load_seconds = 0.0

    def tables(self, blocks: Sequence[Block]) -> Iterator[pd.DataFrame]:
        """Yield the answers of each block."""
        known = KnownBlocks([folder / PREDICTIONS_FILE for folder in self._scored])
        total = sum(len(rows) for _, rows in blocks)
        self._context.report(0, total, "looking for known answers")
        done = 0
        for number, rows in blocks:
            expected = self._expected(rows)
            table = self._kept.load(number, expected, COLUMNS)
            self._counts["blocks_kept"] += table is not None
            if table is None:
                table = known.load(expected)
                self._counts["blocks_known"] += table is not None
            if table is None:
                self._context.stop_if_requested(f"{done} of {total} predictions are kept")
                if "_scorer" not in self.__dict__:
                    self._context.report(done, total, "loading the model")
                table = self._ask(rows, _shifted(self._context.report, done, total))
                self._kept.store(number, table)
                self._counts["asked"] += len(rows)
            self._counts["blocks"] += 1
            done += len(rows)
            self._context.report(done, total, "clips scored")
            yield table
        self._counts["predictions"] = done

    @property
    def system(self) -> dict[str, Any]:
        """What is told of the model that answered, whichever process loaded it."""
        places = [self._context.work, *(folder / VOLATILE_FOLDER for folder in self._scored)]
        for place in places:
            if (place / SYSTEM_FILE).is_file():
                told: dict[str, Any] = json.loads((place / SYSTEM_FILE).read_text("utf-8"))
                return told
        return {"device": None, "dtype": None, "placement": None, "notes": []}

    @property
    def timings(self) -> dict[str, Any]:
        """What the work took."""
        values = {**self._counts, "load_seconds": self._load_seconds}
        if "_scorer" not in self.__dict__:
            return values
        limit = self._scorer.limit
        return values | {
            "batch_size": limit.size,
            "batch_size_halved": limit.halvings,
            "threads": torch.get_num_threads(),
        }

    @cached_property
    def _scorer(self) -> InstructionScorer:
        started = time.monotonic()
        scorer = open_scorer(self._config, self._context)
        self._load_seconds = time.monotonic() - started
        return scorer

    def _ask(self, rows: pd.DataFrame, report: Report) -> pd.DataFrame:
        config = self._config
        as_recorded = config.conditions == AS_RECORDED
        scorer = self._scorer
        waveforms = render_plan(
            self._corpus, rows, config.render, self._rirs, as_recorded=as_recorded
        )
        features: AudioFeatures = scorer.encode(waveforms)
        scores = scorer.score(features, self._instruction, config.answer_format, report)
        return predictions_of(rows, scores, config.system, self._instruction)

    def _expected(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what the answers to these rows hold, whatever the model answered."""
        return rows[["clip_id", "condition", "label"]].assign(
            system=self._config.system, instruction_digest=instruction_digest(self._instruction)
        )


def _dealt(blocks: list[Block], shard: int, shards: int) -> list[Block]:
    """Return the blocks of one shard: every shard has as many, but for one more or less."""
    if not 0 <= shard < shards <= len(blocks):
        problem = f"shard {shard} of {shards}: the clips make {len(blocks)} blocks, one shard each"
        raise ConfigurationError("the evaluation cannot be divided", [problem])
    return blocks[shard::shards]


def open_scorer(config: ScoringConfig, context: StageContext) -> InstructionScorer:
    """Load the system that a configuration names, and note in the work folder where it runs.

    Raises:
        ModelError: The model or the adapter cannot be used.
    """
    threads = context.runtime.get("threads")
    if threads is not None:
        torch.set_num_threads(int(threads))
    llm = load_audio_llm(
        context.inputs["model"],
        adapter=context.inputs.get("adapter"),
        quantization=config.quantization,
        device=context.runtime.get("device", "auto"),
        dtype=config.dtype,
        attention=context.runtime.get("attention", "auto"),
    )
    told = {
        "device": str(llm.device),
        "dtype": str(llm.dtype).removeprefix("torch."),
        "placement": llm.reason,
        "notes": list(llm.notes),
    }
    _write_json(context.work / SYSTEM_FILE, told)
    return InstructionScorer(
        llm,
        system_prompt=config.system_prompt,
        batch_size=context.runtime.get("batch_size"),
        encoder_cache=open_encoder_cache(llm, context.runtime.get("encoder_cache")),
        max_new_tokens=config.max_new_tokens,
        short_clips=config.short_clips,
    )


def cut_into_blocks(plan: pd.DataFrame, block_clips: int) -> Iterator[pd.DataFrame]:
    """Cut a plan into blocks of `block_clips` corpus rows each."""
    position = plan["row"].rank(method="dense").astype(int) - 1
    for _, rows in plan.groupby(position // block_clips, sort=True):
        yield rows.reset_index(drop=True)


def _instruction(config: ScoringConfig, folder: Path | None) -> str:
    """Take the instruction from the configuration or from the optimizer's output, not both."""
    title = "the instruction is not clear"
    if (config.instruction is None) == (folder is None):
        problem = "give either `instruction` in the configuration or the input `instruction`"
        raise ConfigurationError(title, [problem])
    if folder is None:
        return str(config.instruction)
    return read_instruction(folder)


def read_instruction(place: Path) -> str:
    """Read an instruction from a file, or from the output of a search.

    Raises:
        DataError: There is no such file.
    """
    path = place / INSTRUCTION_FILE if place.is_dir() else place
    if not path.is_file():
        raise DataError("the instruction is not clear", [f"{path}: there is no such file"])
    return path.read_text(encoding="utf-8").strip()


def _name(label: Any) -> str | None:
    return None if label is None else str(label)


def _shifted(report: Report, done: int, total: int) -> Report:
    """Report a block's progress as that of the whole plan."""
    return lambda part, _, message: report(done + part, total, message)


def _write_json(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
