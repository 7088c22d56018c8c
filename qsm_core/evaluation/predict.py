"""The stage "evaluate": ask one system about every clip in every condition.

    python -m qsm_core.evaluation.predict --spec spec.json

Inputs: `corpus` (a prepared corpus, or a part of one), `model` (a Qwen2-Audio folder), and
optionally `adapter` (a LoRA folder), `instruction` (a folder with best_prompt.txt), `rirs` (impulse
responses).

Output: predictions.parquet, metrics.json, volatile/timings.json.

The clips are worked through in shards of fixed size; a stage that was killed goes on behind its
last finished shard. A batch never crosses shards, so on a CPU the result has the same bits as
that of an uninterrupted run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
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
from qsm_core.evaluation.intervals import metrics_with_intervals
from qsm_core.evaluation.metrics import Metrics, write_metrics
from qsm_core.evaluation.predictions import COLUMNS, validate, write_predictions
from qsm_core.evaluation.renderings import (
    AS_RECORDED,
    STANDARD,
    load_rir_bank,
    plan_renderings,
    render_plan,
)
from qsm_core.evaluation.settings import BootstrapSettings
from qsm_core.evaluation.shards import ShardFolder
from qsm_core.inference.answers import answer_choices
from qsm_core.inference.prompt import DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.scoring import (
    DEFAULT_MAX_NEW_TOKENS,
    AudioFeatures,
    InstructionScorer,
    Scores,
)
from qsm_core.models.audio_llm import AudioLLM, load_audio_llm
from qsm_core.models.encoder_cache import open_encoder_cache
from qsm_core.store.context import VOLATILE_FOLDER, Report, StageContext, parse_config
from qsm_core.store.digests import digest_bytes
from qsm_core.store.entry import run_entry

PREDICTIONS_FILE = "predictions.parquet"
METRICS_FILE = "metrics.json"
TIMINGS_FILE = "timings.json"
INSTRUCTION_FILE = "best_prompt.txt"

_MASS = "answer_mass"  # kept in the shards, told in the summary, no column of the predictions
_SHARD_COLUMNS = (*COLUMNS, _MASS)


@dataclass(frozen=True)
class EvaluateConfig:
    """What changes the predictions.

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
        shard_clips: Clips in a shard; all conditions of a clip are in the same one.
        render: What all renderings share.
        bootstrap: How the intervals in metrics.json are computed.
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
    shard_clips: Annotated[int, Field(ge=1)] = 32
    render: RenderSettings = field(default_factory=RenderSettings)
    bootstrap: BootstrapSettings = field(default_factory=BootstrapSettings)


@dataclass(frozen=True)
class _Task:
    """All that scoring a shard needs."""

    config: EvaluateConfig
    corpus: Corpus
    rirs: RirBank | None
    instruction: str
    scorer: InstructionScorer


def run(context: StageContext) -> dict[str, Any]:
    """Predict, measure, and return the headline numbers.

    Raises:
        InterruptedStageError: The stage was asked to stop; its finished shards are kept.
        ConfigurationError: The configuration cannot work.
        DataError: The corpus, its split or a condition cannot be used.
        ModelError: The model or the adapter cannot be used.
    """
    started = time.monotonic()
    config = parse_config(EvaluateConfig, context.config)
    instruction = _instruction(config, context.inputs.get("instruction"))
    choices = answer_choices(instruction, config.answer_format)
    corpus = Corpus.open(context.inputs["corpus"])
    plan = plan_renderings(corpus, config.conditions, config.split)
    rirs = load_rir_bank(context.inputs.get("rirs"))
    context.report(0, len(plan), "loading the model")
    llm = _load(config, context)
    scorer = InstructionScorer(
        llm,
        system_prompt=config.system_prompt,
        batch_size=context.runtime.get("batch_size"),
        encoder_cache=open_encoder_cache(llm, context.runtime.get("encoder_cache")),
        max_new_tokens=config.max_new_tokens,
        short_clips=config.short_clips,
    )
    loaded = time.monotonic()
    table, reused = _predict(_Task(config, corpus, rirs, instruction, scorer), plan, context)
    predictions = validate(table[list(COLUMNS)])
    metrics = metrics_with_intervals(
        predictions, instruction=instruction, settings=config.bootstrap
    )
    write_predictions(context.out / PREDICTIONS_FILE, predictions)
    write_metrics(context.out / METRICS_FILE, metrics)
    seconds = {"load": loaded - started, "all": time.monotonic() - started}
    _write_timings(context.out, seconds, scorer, len(plan), reused)
    mass = table[_MASS].mean()
    return _summary(metrics, llm) | {
        "answer_format": str(choices.answer_format),
        "answer_mass": None if pd.isna(mass) else float(mass),
    }


def _instruction(config: EvaluateConfig, folder: Path | None) -> str:
    """Take the instruction from the configuration or from the optimizer's output, not both."""
    title = "the instruction is not clear"
    if (config.instruction is None) == (folder is None):
        problem = "give either `instruction` in the configuration or the input `instruction`"
        raise ConfigurationError(title, [problem])
    if folder is None:
        return str(config.instruction)
    path = folder / INSTRUCTION_FILE if folder.is_dir() else folder
    if not path.is_file():
        raise DataError(title, [f"{path}: there is no such file"])
    return path.read_text(encoding="utf-8").strip()


def _load(config: EvaluateConfig, context: StageContext) -> AudioLLM:
    threads = context.runtime.get("threads")
    if threads is not None:
        torch.set_num_threads(int(threads))
    return load_audio_llm(
        context.inputs["model"],
        adapter=context.inputs.get("adapter"),
        quantization=config.quantization,
        device=context.runtime.get("device", "auto"),
        dtype=config.dtype,
    )


def _predict(task: _Task, plan: pd.DataFrame, context: StageContext) -> tuple[pd.DataFrame, int]:
    """Return the rows of all shards and how many shards were there already."""
    shards = ShardFolder(context.work / "shards")
    tables = []
    reused = done = 0
    for number, part in enumerate(_parts(plan, task.config.shard_clips)):
        table = shards.load(number, _identity(task, part), _SHARD_COLUMNS)
        if table is None:
            context.stop_if_requested(f"{done} of {len(plan)} predictions are kept")
            table = _score_part(task, part, _shifted(context.report, done, len(plan)))
            shards.store(number, table)
        else:
            reused += 1
        tables.append(table)
        done += len(part)
        context.report(done, len(plan), "clips scored")
    return pd.concat(tables, ignore_index=True), reused


def _parts(plan: pd.DataFrame, shard_clips: int) -> Iterator[pd.DataFrame]:
    """Cut a plan into shards of `shard_clips` corpus rows each."""
    position = plan["row"].rank(method="dense").astype(int) - 1
    for _, part in plan.groupby(position // shard_clips, sort=True):
        yield part.reset_index(drop=True)


def _score_part(task: _Task, part: pd.DataFrame, report: Report) -> pd.DataFrame:
    config = task.config
    as_recorded = config.conditions == AS_RECORDED
    waveforms = render_plan(task.corpus, part, config.render, task.rirs, as_recorded=as_recorded)
    features: AudioFeatures = task.scorer.encode(waveforms)
    scores = task.scorer.score(features, task.instruction, config.answer_format, report)
    return predictions_of(part, scores, config.system, task.instruction)


def predictions_of(
    plan: pd.DataFrame, scores: Scores, system: str, instruction: str
) -> pd.DataFrame:
    """Join a plan and the answers to it: the predictions table, and `answer_mass` behind it.

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
    return table[list(_SHARD_COLUMNS)]


def instruction_digest(instruction: str) -> str:
    """Return the SHA-256 of an instruction's text."""
    return digest_bytes(instruction.encode("utf-8"))


def _identity(task: _Task, part: pd.DataFrame) -> pd.DataFrame:
    """Return what a finished shard of this part holds, whatever the model answered."""
    return part[["clip_id", "condition", "label"]].assign(
        system=task.config.system, instruction_digest=instruction_digest(task.instruction)
    )


def _name(label: Any) -> str | None:
    return None if label is None else str(label)


def _shifted(report: Report, done: int, total: int) -> Report:
    """Report a shard's progress as that of the whole plan."""
    return lambda part, _, message: report(done + part, total, message)


def _write_timings(
    out: Path, seconds: dict[str, float], scorer: InstructionScorer, rows: int, reused: int
) -> None:
    folder = out / VOLATILE_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "seconds": seconds,
        "predictions": rows,
        "shards_reused": reused,
        "batch_size": scorer.limit.size,
        "batch_size_halved": scorer.limit.halvings,
        "threads": torch.get_num_threads(),
    }
    (folder / TIMINGS_FILE).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _summary(metrics: Metrics, llm: AudioLLM) -> dict[str, Any]:
    headline = ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc", "auroc")
    values = metrics.to_json()
    counts = ("unparseable_rate", "n_samples", "n_clips", "n_groups")
    return {name: values[name] for name in ("system", "instruction", *headline, *counts)} | {
        "device": str(llm.device),
        "dtype": str(llm.dtype).removeprefix("torch."),
        "placement": llm.reason,
        "notes": list(llm.notes),
    }


if __name__ == "__main__":
    run_entry(run)
