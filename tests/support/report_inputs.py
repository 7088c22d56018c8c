"""Folders as the other stages write them, made from simulated listeners: inputs of the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.analyze import analyze
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.intervals import metrics_with_intervals
from qsm_core.evaluation.analysis.metrics import write_metrics
from qsm_core.evaluation.analysis.settings import AnalysisSettings
from qsm_core.evaluation.analysis.tables import write_analysis
from qsm_core.evaluation.instruction_gains.tables import run as analyze_instructions
from qsm_core.evaluation.predictions.table import read_predictions, write_predictions
from qsm_core.reporting.speech.report import run
from qsm_core.stage.context import StageContext
from tests.support.instruction_inputs import write_instruction_inputs
from tests.support.predictions import Listener, make_predictions
from tests.support.stages import stage_context

BASELINE = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
WINNER = "Listen for a <voice> & answer SPEECH or NONSPEECH."
SEARCHES, TRAININGS = ("base", "lora"), ("lora",)
LISTENERS = (
    (Listener("base", skill=0.5, bias=-0.8, unparseable=0.03), BASELINE),
    (Listener("lora", skill=1.3), BASELINE),
    (Listener("base_opro", skill=0.7), WINNER),
    (Listener("lora_opro", skill=1.5), "Human voice? SPEECH or NONSPEECH."),
)


def write_report_inputs(folder: Path, *, groups_per_class: int = 12) -> dict[str, Path]:
    """Write four evaluations, two searches, a training and the manifest of a corpus."""
    inputs = {}
    for listener, instruction in LISTENERS:
        table = make_predictions(listener, groups_per_class=groups_per_class, seed=3)
        inputs[f"eval_{listener.system}"] = write_evaluation(
            folder / f"eval_{listener.system}", table, instruction
        )
    for name, start in (("opro_base", 0.62), ("opro_lora", 0.8)):
        inputs[name] = _write_search(folder / name, start)
    inputs["train_lora"] = _write_training(folder / "train_lora")
    inputs["corpus"] = _write_corpus(folder / "corpus", groups_per_class)
    inputs["instructions"] = _write_prompt_tables(folder / "instructions")
    inputs["analysis"] = write_small_analysis(folder / "analysis", inputs, with_dev=True)
    return inputs


def write_small_analysis(
    folder: Path, inputs: Mapping[str, Path], *, with_dev: bool = False
) -> Path:
    """Analyze the evaluations among the inputs with few resamples; dev is simulated for base."""
    tables = {
        name.removeprefix("eval_"): read_predictions(path / "predictions.parquet")
        for name, path in inputs.items()
        if name.startswith("eval_")
    }
    dev = {"base": make_predictions(LISTENERS[0][0], groups_per_class=4, seed=9)}
    settings = AnalysisSettings(bootstrap=BootstrapSettings(num_resamples=100))
    made = analyze(tables, dev=dev if with_dev else None, settings=settings)
    write_analysis(folder, made)
    return folder


def write_evaluation(folder: Path, table: pd.DataFrame, instruction: str) -> Path:
    """Write predictions.parquet and metrics.json as an evaluation does."""
    folder.mkdir(parents=True)
    write_predictions(folder / "predictions.parquet", table)
    settings = BootstrapSettings(num_resamples=200)
    metrics = metrics_with_intervals(table, instruction=instruction, settings=settings)
    write_metrics(folder / "metrics.json", metrics)
    return folder


def _write_search(folder: Path, start: float) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    scores = start + 0.12 * rng.beta(2, 4, 25)
    texts = [f"Candidate {i}: is a person speaking? SPEECH or NONSPEECH." for i in range(25)]
    texts[int(np.argmax(scores))] = WINNER
    table = pd.DataFrame(
        {"iteration": np.arange(25) // 8, "instruction": texts, "score": np.round(scores, 4)}
    )
    table["origin"] = ["seed", *["template"] * 15, *["recombination"] * 9]
    table["score_on_dev"] = table["score"].where(table["score"] > table["score"].quantile(0.8))
    table.to_csv(folder / "candidates.csv", index=False)
    (folder / "best_prompt.txt").write_text(WINNER + "\n")
    controls = pd.DataFrame({"way": ["search", "seed"], "instruction": [WINNER, BASELINE]})
    numbers = {"score": 1.0, "ba_clip": 0.8, "threshold": 0.0, "candidates": 25, "spent": 900}
    controls.assign(**numbers, why_ended=None).to_csv(folder / "controls.csv", index=False)
    (folder / "dev_metrics.json").write_text(
        json.dumps({"ba_clip": 0.75, "intervals": {"ba_clip": {"low": 0.7, "high": 0.8}}})
    )
    return folder


def _write_prompt_tables(folder: Path) -> Path:
    """Analyze with few resamples what two models were asked."""
    given = write_instruction_inputs(folder / "given")
    config = {"models": ["base", "lora"], "analysis": {"bootstrap": {"num_resamples": 100}}}
    context = stage_context(folder, config, given)
    analyze_instructions(context)
    return context.out


def _write_training(folder: Path) -> Path:
    folder.mkdir(parents=True)
    steps = np.arange(1, 121)
    rng = np.random.default_rng(8)
    log = pd.DataFrame({"step": steps, "epoch": steps // 20})
    log["train_loss"] = 0.7 * np.exp(-steps / 40) + 0.03 * rng.random(120)
    log["dev_loss"] = np.where(steps % 20 == 0, 0.7 * np.exp(-steps / 50) + 0.05, np.nan)
    log.to_csv(folder / "training_log.csv", index=False)
    card = {"rank": 16, "alpha": 32, "targets": ["q_proj", "k_proj"], "base": {"digest": "ab12"}}
    (folder / "adapter_card.json").write_text(json.dumps(card))
    return folder


def _write_corpus(folder: Path, groups_per_class: int) -> Path:
    """Write the manifest of a prepared corpus; the test clips are those of the predictions."""
    folder.mkdir(parents=True)
    rows = []
    for split in ("train", "dev", "test"):
        for label in ("speech", "nonspeech"):
            start = label if split == "test" else f"{split}_{label}"
            rows += [
                {
                    "clip_id": f"{start}_{group:03d}_{clip:02d}",
                    "group_id": f"{start}_{group:03d}",
                    "label": label.upper(),
                    "split": split,
                    "source": "synthetic",
                }
                for group in range(groups_per_class)
                for clip in range(3)
            ]
    pd.DataFrame(rows).to_parquet(folder / "manifest.parquet")
    return folder


def make_report(folder: Path, inputs: dict[str, Path], **config: Any) -> Path:
    """Run the stage "report" on all searches and trainings that there are; return its output."""
    out = folder / "out"
    out.mkdir(parents=True)
    there = {
        "searches": [model for model in SEARCHES if f"opro_{model}" in inputs],
        "trainings": [model for model in TRAININGS if f"train_{model}" in inputs],
    }
    context = StageContext(
        config=there | config,
        inputs=inputs,
        out=out,
        work=folder / "work",
        runtime={},
        report=lambda done, total, message: None,
    )
    run(context)
    return out
