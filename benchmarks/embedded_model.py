"""Measure the embedded model: instructions, conditions, LoRA, recorded voices.

    python benchmarks/embedded_model.py [--model folder] [--recorded folder]

Prints the tables of its model card. `--recorded` is a folder with metadata.csv (path, label,
group_id) of recorded one-second clips; they are scored, never trained on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from qsm_core.audio.framing import center_crop
from qsm_core.audio.reading import read_audio
from qsm_core.conditions import rir_stage
from qsm_core.conditions.config import RenderSettings
from qsm_core.conditions.grid import STANDARD_GRID
from qsm_core.conditions.rendering import render
from qsm_core.conditions.rirs import RirBank
from qsm_core.data import synthetic
from qsm_core.data.corpus import Corpus
from qsm_core.evaluation.scoring.renderings import plan_renderings, render_plan
from qsm_core.inference.scoring import InstructionScorer, Scores
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.identity import EMBEDDED_FOLDER
from qsm_core.prompting.texts.templates import baseline, templates
from qsm_core.stage.context import StageContext
from qsm_core.training import lora

LETTERS = (
    "What does this audio contain?\nA) SPEECH (human voice)\n"
    "B) NONSPEECH (music/noise/silence/animals)\nAnswer with A or B ONLY."
)
# As in the preset `embedded`.
LORA = {
    "epochs": 4,
    "learning_rate": 2e-3,
    "conditions": [condition.key for condition in STANDARD_GRID],
    "renderings_per_clip": 8,
}
CHOICE = "What do you hear?\nA) speech\nB) music\nC) noise\nD) silence\nAnswer with one letter."


def stage(module: Any, config: dict[str, Any], out: Path, **inputs: Path) -> dict[str, Any]:
    """Run a stage in this process."""
    out.mkdir(parents=True, exist_ok=True)
    work = out.with_name(out.name + "-work")
    work.mkdir(exist_ok=True)
    return dict(module.run(StageContext(config, inputs, out, work, {}, lambda *_: None)))


def balanced(is_speech: np.ndarray, margin: np.ndarray) -> tuple[float, float, float]:
    """Return balanced accuracy and the recalls of speech and of the rest, in percent."""
    speech = 100 * float((margin[is_speech] > 0).mean())
    other = 100 * float((margin[~is_speech] <= 0).mean())
    return (speech + other) / 2, speech, other


def row(name: str, is_speech: np.ndarray, scores: Scores) -> str:
    """Return a line of a table."""
    accuracy, speech, other = balanced(is_speech, scores.margin)
    area = roc_auc_score(is_speech, scores.margin)
    return f"| {name} | {accuracy:.1f} | {speech:.0f} | {other:.0f} | {area:.3f} |"


def recorded_clips(folder: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Read recorded clips, each in the two-second container of an evaluation."""
    table = pd.read_csv(folder / "metadata.csv")
    settings = RenderSettings()
    clips = []
    for path in table["path"]:
        waveform = center_crop(read_audio(folder / path).waveform, 16_000)
        clips.append(render(waveform, None, clip_id=path, settings=settings))
    return clips, (table["label"] == "SPEECH").to_numpy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=EMBEDDED_FOLDER)
    parser.add_argument("--recorded", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure(options.model, options.recorded, options.seed, Path(scratch))


def measure(model: Path, recorded: Path | None, seed: int, scratch: Path) -> None:
    """Print every table for one model."""
    stage(synthetic, {"seed": seed}, scratch / "corpus")
    stage(rir_stage, {"t60s_s": [0.3, 1.0, 2.5]}, scratch / "rirs")
    bank = RirBank.load(scratch / "rirs" / rir_stage.BANK_FILE)
    corpus = Corpus.open(scratch / "corpus")
    plan = plan_renderings(corpus)
    clips = list(render_plan(corpus, plan, RenderSettings(), bank))
    is_speech = (plan["label"] == "SPEECH").to_numpy()
    question = baseline().text
    llm = load_audio_llm(model)
    scorer = InstructionScorer(llm)
    count = sum(parameter.numel() for parameter in llm.model.parameters())
    print(f"parameters: {count}; renderings: {len(plan)}\n")

    started = time.monotonic()
    features = scorer.encode(clips)
    encoded = time.monotonic()
    asked = [(item.id + " " + item.kind, item.text) for item in (baseline(), *templates())]
    asked += [("options A and B", LETTERS), ("options A to D", CHOICE)]
    results = scorer.score_many(features, [text for _, text in asked])
    seconds = time.monotonic() - encoded
    print(
        "| instruction | balanced accuracy % | speech % | other % | AUROC |\n|---|---|---|---|---|"
    )
    for (name, _), scores in zip(asked, results, strict=True):
        print(row(name, is_speech, scores))
    print(f"\nencoding {encoded - started:.0f} s, {len(asked)} instructions {seconds:.0f} s\n")

    started = time.monotonic()
    config = {"seed": seed, "instructions": [question], **LORA}
    summary = stage(
        lora,
        config,
        scratch / "adapter",
        train=scratch / "corpus" / "train",
        dev=scratch / "corpus" / "dev",
        model=model,
        rirs=scratch / "rirs" / rir_stage.BANK_FILE,
    )
    print(f"LoRA: {time.monotonic() - started:.0f} s, {json.dumps(summary)[:400]}\n")
    tuned_scorer = InstructionScorer(load_audio_llm(model, adapter=scratch / "adapter"))
    tuned = tuned_scorer.score(features, question)
    best = max(results, key=lambda scores: balanced(is_speech, scores.margin)[0])
    print("| condition | base | best instruction | LoRA |\n|---|---|---|---|")
    for condition, rows in plan.groupby("condition", sort=False).indices.items():
        accuracies = [
            balanced(is_speech[rows], scores.margin[rows])[0]
            for scores in (results[0], best, tuned)
        ]
        print(f"| {condition} | " + " | ".join(f"{value:.0f}" for value in accuracies) + " |")
    print("\n" + row("LoRA, baseline instruction", is_speech, tuned))
    if recorded is not None:
        voices, truth = recorded_clips(recorded)
        print(row("recorded, base", truth, scorer.score(scorer.encode(voices), question)))
        heard = tuned_scorer.score(tuned_scorer.encode(voices), question)
        print(row("recorded, LoRA", truth, heard))


if __name__ == "__main__":
    main()
