"""Outputs of evaluations and searches of two models, as the analysis of instructions reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from qsm_core.evaluation.predictions.table import write_predictions
from tests.support.predictions import GRID, Listener, make_predictions

SEED = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
BEST = {"base": "Voice? SPEECH or NONSPEECH.", "lora": "Is somebody talking? SPEECH or NONSPEECH."}
CONTROL = "NONSPEECH or SPEECH?"
PREDICTIONS_FILE = "predictions.parquet"
_SOME = tuple(cell for cell in GRID if cell[1] == "snr")


def answers(text: str, skill: float, bias: float = 0.0, *, seed: int = 3) -> pd.DataFrame:
    """Return a listener's answers to some conditions."""
    listener = Listener(text, skill=skill, bias=bias)
    return make_predictions(listener, groups_per_class=10, grid=_SOME, seed=seed)


def write_instruction_inputs(folder: Path) -> dict[str, Path]:
    """Write what two models were asked; the base model's best control is of paraphrases.

    The LoRA model's search ended with what its best control had found as well.
    """
    inputs = {}
    skills = {"base": (0.8, 1.6, 1.2), "lora": (1.6, 1.9, 1.9)}
    for model, (first, best, control) in skills.items():
        other = "lora" if model == "base" else "base"
        text = CONTROL if model == "base" else BEST["lora"]
        asked = {"control": (text, control), other: (BEST[other], 1.0)}
        for place, shown, skill in (("seed", SEED, first), ("found", BEST[model], best)):
            bias = -1.0 if place == "seed" else 0.0
            inputs[f"{place}_{model}"] = _write_evaluation(
                folder / f"{place}_{model}", shown, answers(shown, skill, bias)
            )
        further = folder / f"further_{model}"
        inputs[further.name] = _write_further(further, asked, {SEED, BEST[model]})
        inputs[f"search_{model}"] = _write_search(folder / f"search_{model}", model, text)
    return inputs


def _write_evaluation(folder: Path, text: str, table: pd.DataFrame) -> Path:
    folder.mkdir(parents=True)
    write_predictions(folder / PREDICTIONS_FILE, table)
    (folder / "metrics.json").write_text(json.dumps({"instruction": text}))
    return folder


def _write_further(folder: Path, asked: dict[str, tuple[str, float]], known: set[str]) -> Path:
    folder.mkdir()
    shown, tables = {}, []
    for role, (text, skill) in asked.items():
        shown[role] = {"instruction": text, "asked": text not in known}
        if text not in known:
            tables.append(answers(text, skill).assign(system=role))
    write_predictions(folder / PREDICTIONS_FILE, pd.concat(tables))
    (folder / "instructions.json").write_text(json.dumps(shown))
    return folder


def _write_search(folder: Path, model: str, control: str) -> Path:
    folder.mkdir()
    ways = [
        ("search", BEST[model], 0.95),
        ("seed", SEED, 0.6),
        ("calibration", SEED, 0.8),
        ("templates", SEED, 0.6),
        ("paraphrases", control, 0.9),
    ]
    table = pd.DataFrame(ways, columns=["way", "instruction", "score"])
    table["ba_clip"] = table["score"] - 0.1
    table = table.assign(threshold=0.0, candidates=9, spent=900, why_ended="all steps were made")
    table.to_csv(folder / "controls.csv", index=False)
    of_seed = answers(SEED, 0.8, -1.0, seed=9).assign(system="seed_instruction")
    of_best = answers(BEST[model], 1.6, seed=9).assign(system="best_instruction")
    write_predictions(folder / "dev_predictions.parquet", pd.concat([of_seed, of_best]))
    return folder
