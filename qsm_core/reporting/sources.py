"""Reads the outputs of the other stages that the report is made from. Any of them may be absent.

Stage outputs are folders; an evaluation is any input whose name starts with `eval_`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.predictions import read_predictions
from qsm_core.reporting.corpus_facts import CorpusFacts, read_corpus_facts
from qsm_core.reporting.results import EvaluatedSystem

_TITLES = {
    "base": "Base",
    "lora": "LoRA",
    "base_opro": "Base + OPRO",
    "lora_opro": "LoRA + OPRO",
    "silero": "Silero VAD",
    "webrtc": "WebRTC VAD",
    "energy": "Energy",
}
_MODELS = {"base": "Base model", "lora": "LoRA model"}
_SEED = re.compile(r"_seed(\d+)$")


@dataclass(frozen=True)
class PromptSearch:
    """One search for an instruction.

    Attributes:
        name: Input name, such as `opro_base`.
        title: Which model the search was for.
        evaluation: Name of the system that was tested with the winning instruction.
        instruction: The winning instruction.
        dev_metrics: Metrics of the winner on all of dev, as in metrics.json; may be empty.
        candidates: Every scored candidate in order, the one that the search started from being
            number 0: number, iteration, instruction, score, best_so_far, and where known
            origin and score_on_dev (on all of dev, for the finalists).
    """

    name: str
    title: str
    evaluation: str
    instruction: str
    dev_metrics: Mapping[str, Any]
    candidates: pd.DataFrame


@dataclass(frozen=True)
class Training:
    """One LoRA training: its log (step, train_loss, dev_loss) and the card of its adapter."""

    title: str
    log: pd.DataFrame
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """Everything that was found."""

    systems: tuple[EvaluatedSystem, ...]
    searches: tuple[PromptSearch, ...]
    trainings: tuple[Training, ...]
    corpus: CorpusFacts | None


def read_sources(inputs: Mapping[str, Path]) -> Sources:
    """Read all inputs of the report.

    Raises:
        DataError: No evaluation is among the inputs, or a file in one of them is missing or
            cannot be read.
    """
    evaluations = [name for name in inputs if name.startswith("eval_")]
    if not evaluations:
        raise DataError(
            "there is nothing to report",
            [f"inputs {sorted(inputs)}: give one evaluation at least, such as eval_base"],
        )
    ordered = sorted(evaluations, key=_pipeline_order)
    corpus = inputs.get("corpus")
    return Sources(
        systems=tuple(_read_system(name, inputs[name]) for name in ordered),
        searches=tuple(
            _read_search(name, inputs[name]) for name in sorted(inputs) if name.startswith("opro_")
        ),
        trainings=tuple(
            _read_training(name, inputs[name])
            for name in sorted(inputs)
            if name.startswith("train_")
        ),
        corpus=read_corpus_facts(corpus) if corpus else None,
    )


def _pipeline_order(name: str) -> tuple[int, str]:
    known = list(_TITLES)
    short = name.removeprefix("eval_")
    return (known.index(short) if short in known else len(known)), short


def _titled(name: str, known: Mapping[str, str]) -> str:
    """Return the title of a name that may end in the seed of its training."""
    found = _SEED.search(name)
    start = name if found is None else name[: found.start()]
    title = known.get(start, start.replace("_", " "))
    return title if found is None else f"{title}, seed {found.group(1)}"


def _tested_as(target: str) -> str:
    """Return the system that has a search's winner: that of `lora_seed43` is `lora_opro_seed43`."""
    found = _SEED.search(target)
    end = len(target) if found is None else found.start()
    return f"{target[:end]}_opro{target[end:]}"


def _read_training(name: str, folder: Path) -> Training:
    return Training(
        title=_titled(name.removeprefix("train_"), _TITLES),
        log=_read_csv(folder / "training_log.csv"),
        card=_read_json(folder / "adapter_card.json"),
    )


def _read_system(name: str, folder: Path) -> EvaluatedSystem:
    short = name.removeprefix("eval_")
    metrics = _read_json(folder / "metrics.json")
    predictions = read_predictions(folder / "predictions.parquet")
    instruction = metrics.get("instruction")
    return EvaluatedSystem(short, _titled(short, _TITLES), predictions, instruction)


def _read_search(name: str, folder: Path) -> PromptSearch:
    target = name.removeprefix("opro_")
    best = folder / "best_prompt.txt"
    if not best.is_file():
        raise DataError("a prompt search has no winner", [f"{best}: the file is missing"])
    return PromptSearch(
        name=name,
        title=_titled(target, _MODELS),
        evaluation=_tested_as(target),
        instruction=best.read_text(encoding="utf-8").strip(),
        dev_metrics=_read_json(folder / "dev_metrics.json"),
        candidates=_read_candidates(folder / "candidates.csv"),
    )


def _read_candidates(path: Path) -> pd.DataFrame:
    table = _read_csv(path)
    missing = [name for name in ("iteration", "instruction", "score") if name not in table]
    if missing:
        raise DataError(
            "the candidates cannot be read", [f"{path}: no column {', '.join(missing)}"]
        )
    table["best_so_far"] = table["score"].cummax()
    table.insert(0, "number", range(len(table)))
    return table


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError("a table of a stage cannot be read", [f"{path}: {error}"]) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("a file of a stage cannot be read", [f"{path}: {error}"]) from error
    return values
