"""The output files of a search.

`opro_history.json`, `opro_memory.json` and `optimization_history.json` have the names and keys of
the first system's searches. A `reward` or accuracy in them is that of the race; for the finalists
`score_on_dev` is that of all of dev, by which the winner is chosen.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.evaluation.analysis.intervals import metrics_with_intervals
from qsm_core.evaluation.analysis.metrics import write_metrics
from qsm_core.evaluation.analysis.settings import SYSTEM_OF_ROWS
from qsm_core.evaluation.predictions.table import write_predictions
from qsm_core.evaluation.scoring.instructions import INSTRUCTION_FILE, instruction_digest
from qsm_core.prompting.candidate_scores import Finalist, ScoredCandidate
from qsm_core.prompting.search.controls import BEST_CONTROL_FILE, best_instruction
from qsm_core.prompting.search.instruction_search import InstructionSearch
from qsm_core.store.layout import VOLATILE_FOLDER

CONTROLS_FILE = "controls.csv"
_MEMORY_SIZE = 10  # of opro_memory.json
_MEASURES = (
    "ba_clip",
    "ba_conditions",
    "speech_acc",
    "nonspeech_acc",
    "auroc",
    "log_loss",
    "unparseable_rate",
)


def write_output(
    out: Path,
    trajectory: Path,
    search: InstructionSearch,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """Write all files of a finished search and return its headline numbers."""
    history = search.history
    winner, seed = search.winner, search.finalists[0]
    best = history[winner.number]
    (out / INSTRUCTION_FILE).write_text(best.candidate.text + "\n", encoding="utf-8")
    summary = _summary(search, best, winner, seed)
    _write_json(out / "best_prompt.json", summary | _dev_measures(winner, seed))
    _write_json(out / "opro_history.json", _history(search))
    _write_json(out / "opro_memory.json", _memory(search))
    _write_json(out / "optimization_history.json", _optimization_history(search, best, winner))
    _candidates(search).to_csv(out / "candidates.csv", index=False, lineterminator="\n")
    shutil.copyfile(trajectory, out / "trajectory.jsonl")
    _write_dev(out, best, search)
    (out / VOLATILE_FOLDER).mkdir(exist_ok=True)
    _write_json(out / VOLATILE_FOLDER / "timings.json", {"seconds": seconds})
    return summary


def write_controls(out: Path, table: pd.DataFrame) -> None:
    """Write what simpler ways reach, and the instruction of the best of them."""
    table.to_csv(out / CONTROLS_FILE, index=False, lineterminator="\n")
    (out / BEST_CONTROL_FILE).write_text(best_instruction(table) + "\n", encoding="utf-8")


def scored_once(*searches: InstructionSearch) -> int:
    """Return how many clip-prompts several searches scored, those they share counted once."""
    rows: dict[str, int] = {}
    for search in searches:
        for entry in search.history:
            scored = len(search.predictions(entry.number))
            rows[entry.candidate.text] = max(scored, rows.get(entry.candidate.text, 0))
    return sum(rows.values())


def _summary(
    search: InstructionSearch, best: ScoredCandidate, winner: Finalist, seed: Finalist
) -> dict[str, Any]:
    return {
        "instruction": best.candidate.text,
        "instruction_digest": instruction_digest(best.candidate.text),
        "origin": best.candidate.origin,
        "number": best.number,
        "iteration": best.iteration,
        "score_in_race": best.score,
        "score_on_dev": winner.score,
        "seed_score_on_dev": seed.score,
        "gain_on_dev": winner.score - seed.score,
        "ba_clip_on_dev": winner.measures.ba_clip,
        "seed_ba_clip_on_dev": seed.measures.ba_clip,
        "num_candidates": len(search.history),
        "num_iterations": search.steps,
        "spent": search.budget.spent,
        "budget": search.budget.limit,
        "why_ended": search.why_ended,
    }


def _dev_measures(winner: Finalist, seed: Finalist) -> dict[str, Any]:
    return {
        "dev_measures": winner.measures.to_json(),
        "seed_dev_measures": seed.measures.to_json(),
    }


def _history(search: InstructionSearch) -> dict[str, Any]:
    """Return the history under the names that older programs read."""
    on_dev = {entry.number: entry.score for entry in search.finalists}
    return {
        "iterations": sorted({entry.iteration for entry in search.history}),
        "rewards": [entry.score for entry in search.history],
        "best_reward_per_iteration": search.best_by_iteration,
        "winner": search.winner.number,
        "candidates": [
            {
                "number": entry.number,
                "iteration": entry.iteration,
                "instruction": entry.candidate.text,
                "origin": entry.candidate.origin,
                "score": entry.score,
                "rows": entry.rows,
                "dropped": entry.dropped,
                "score_on_dev": on_dev.get(entry.number),
                "measures": entry.measures.to_json(),
            }
            for entry in search.history
        ],
    }


def _memory(search: InstructionSearch) -> list[dict[str, Any]]:
    """Return the best candidates: the finalists by their score on dev, then others by the race."""
    on_dev = {entry.number: entry.score for entry in search.finalists}
    ordered = sorted(
        search.history,
        key=lambda entry: (
            entry.number == search.winner.number,
            entry.number in on_dev,
            on_dev.get(entry.number, entry.score),
        ),
        reverse=True,
    )
    return [
        {
            "prompt": entry.candidate.text,
            "reward": entry.score,
            "ba_clip": entry.measures.ba_clip,
            "ba_conditions": entry.measures.ba_conditions,
            "prompt_length": len(entry.candidate.text),
            "iteration": entry.iteration,
            "score_on_dev": on_dev.get(entry.number),
        }
        for entry in ordered[:_MEMORY_SIZE]
    ]


def _optimization_history(
    search: InstructionSearch, best: ScoredCandidate, winner: Finalist
) -> dict[str, Any]:
    """Return all candidates with their balanced accuracy, as template searches kept them."""
    return {
        "best_accuracy": winner.measures.ba_clip,
        "best_prompt": best.candidate.text,
        "history": [[entry.candidate.text, entry.measures.ba_clip] for entry in search.history],
        "config": {
            "num_iterations": search.steps,
            "num_candidates": len(search.history),
            "accuracy": "balanced accuracy over the dev rows that each candidate was scored on",
        },
    }


def _candidates(search: InstructionSearch) -> pd.DataFrame:
    """Return one row per candidate, in the order of scoring; `score` is that of the race."""
    on_dev = {entry.number: entry.score for entry in search.finalists}
    rows = [
        {
            "iteration": entry.iteration,
            "instruction": entry.candidate.text,
            "origin": entry.candidate.origin,
            "score": entry.score,
            "rows": entry.rows,
            "dropped": entry.dropped,
            **{name: getattr(entry.measures, name) for name in _MEASURES},
            "score_on_dev": on_dev.get(entry.number),
        }
        for entry in search.history
    ]
    return pd.DataFrame(rows)


def _write_dev(out: Path, best: ScoredCandidate, search: InstructionSearch) -> None:
    """Write the files that compare winner and seed instruction on dev, and dev with test."""
    of_winner = search.predictions(best.number).assign(system=SYSTEM_OF_ROWS["winner"])
    of_seed = search.predictions(0).assign(system=SYSTEM_OF_ROWS["first"])
    write_predictions(out / "dev_predictions.parquet", pd.concat([of_winner, of_seed]))
    metrics = metrics_with_intervals(of_winner, instruction=best.candidate.text)
    write_metrics(out / "dev_metrics.json", metrics)


def _write_json(path: Path, values: object) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
