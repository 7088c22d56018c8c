"""Reads the outputs of the other stages that the report is made from.

Stage outputs are folders. `analysis` holds all numbers; `eval_<system>` is the evaluation of one of
its systems, `opro_<model>` the search for an instruction for a model, `train_<model>` its training.
An analysis of systems from anywhere has a systems.json with their titles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.sources import SYSTEMS_FILE
from qsm_core.evaluation.analysis.stage_files import read_csv, read_json
from qsm_core.evaluation.analysis.tables import Analysis, read_analysis
from qsm_core.evaluation.systems import CALIBRATED_TITLE, System
from qsm_core.reporting.speech.corpus_facts import CorpusFacts, read_corpus_facts
from qsm_core.reporting.speech.prompt_tables import PromptTables, read_prompt_tables


@dataclass(frozen=True)
class PromptSearch:
    """One search for an instruction.

    Attributes:
        model: Name of the model that the search was for.
        title: Its title.
        instruction: The winning instruction.
        candidates: Every scored candidate in order, the one that the search started from being
            number 0: number, iteration, instruction, score, best_so_far, and if known
            origin and score_on_dev (on all of dev, for the finalists).
        controls: What it and simpler ways reached on dev, if controls were raced.
    """

    model: str
    title: str
    instruction: str
    candidates: pd.DataFrame
    controls: pd.DataFrame | None = None


@dataclass(frozen=True)
class Training:
    """One LoRA training: its log (step, train_loss, dev_loss) and the card of its adapter."""

    model: str
    title: str
    log: pd.DataFrame
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """All inputs of a report, read.

    Attributes:
        analysis: All numbers.
        titles: Titles of the systems, in the order of the analysis.
        instructions: The instruction of each system, None for a system without one.
        searches: The prompt searches.
        trainings: The LoRA trainings.
        corpus: The clips, if they are there.
        remarks: What a reader should know about the origin of the predictions.
        sets: Which systems answered the same clips; usually a single set.
        prompts: The gains of the searches on test, if they were analyzed.
        ordered: Whether the systems come from sources in an order of the user.
    """

    analysis: Analysis
    titles: Mapping[str, str]
    instructions: Mapping[str, str | None]
    searches: tuple[PromptSearch, ...]
    trainings: tuple[Training, ...]
    corpus: CorpusFacts | None
    remarks: tuple[str, ...] = ()
    sets: tuple[tuple[str, ...], ...] = ()
    prompts: PromptTables | None = None
    ordered: bool = False


@dataclass(frozen=True)
class _Described:
    """What is known of systems besides their predictions."""

    titles: Mapping[str, str]
    instructions: Mapping[str, str | None]
    remarks: tuple[str, ...]
    sets: tuple[tuple[str, ...], ...]


def read_sources(
    inputs: Mapping[str, Path], *, searches: Sequence[str] = (), trainings: Sequence[str] = ()
) -> Sources:
    """Read all inputs of the report.

    Args:
        inputs: Inputs of the stage.
        searches: Models for which an instruction was searched.
        trainings: Models that were trained.

    Raises:
        DataError: The analysis, a search or a training is not among the inputs, or a file in one of
            them is missing or cannot be read.
    """
    _check_inputs(inputs, searches, trainings)
    analysis = read_analysis(inputs["analysis"])
    described = _described_systems(inputs, analysis.order)
    corpus, prompts = inputs.get("corpus"), inputs.get("instructions")
    return Sources(
        analysis=analysis,
        titles={name: _title(System.read(name), described.titles) for name in analysis.order},
        instructions={
            name: described.instructions.get(System.read(name).uncalibrated.name)
            for name in analysis.order
        },
        searches=tuple(_read_search(model, inputs[f"opro_{model}"]) for model in searches),
        trainings=tuple(_read_training(model, inputs[f"train_{model}"]) for model in trainings),
        corpus=read_corpus_facts(corpus) if corpus else None,
        remarks=described.remarks,
        sets=described.sets or (analysis.order,),
        prompts=read_prompt_tables(prompts) if prompts else None,
        ordered=(inputs["analysis"] / SYSTEMS_FILE).is_file(),
    )


def _check_inputs(
    inputs: Mapping[str, Path], searches: Sequence[str], trainings: Sequence[str]
) -> None:
    named = [*(f"opro_{model}" for model in searches), *(f"train_{model}" for model in trainings)]
    problems = [f"input {name}: is missing" for name in named if name not in inputs]
    if "analysis" not in inputs:
        problems.append("input analysis: is missing; make it with evaluation.analysis.analyze")
    if problems:
        raise DataError("the report cannot be made", problems)


def _title(system: System, titles: Mapping[str, str]) -> str:
    title = titles.get(system.uncalibrated.name) or system.uncalibrated.title
    return f"{title}{CALIBRATED_TITLE}" if system.calibrated else title


def _described_systems(inputs: Mapping[str, Path], systems: Sequence[str]) -> _Described:
    """Return what is known of the systems besides their predictions.

    Args:
        inputs: Inputs of the stage.
        systems: Systems of the analysis.
    """
    titles: dict[str, str] = {}
    instructions: dict[str, str | None] = {}
    remarks: list[str] = []
    sets: list[tuple[str, ...]] = []
    file = inputs["analysis"] / SYSTEMS_FILE
    if file.is_file():
        content = read_json(file)
        titles = {entry["name"]: entry["title"] for entry in content["systems"]}
        remarks = content["remarks"]
        sets = [tuple(members) for members in content["sets"]]
    for name in systems:
        folder = inputs.get(f"eval_{name}")
        if folder is not None and folder.is_dir():
            instructions[name] = read_json(folder / "metrics.json").get("instruction")
    return _Described(titles, instructions, tuple(remarks), tuple(sets))


def _read_training(model: str, folder: Path) -> Training:
    return Training(
        model=model,
        title=System.read(model).title,
        log=read_csv(folder / "training_log.csv"),
        card=read_json(folder / "adapter_card.json"),
    )


def _read_search(model: str, folder: Path) -> PromptSearch:
    best = folder / "best_prompt.txt"
    if not best.is_file():
        raise DataError("a prompt search has no winner", [f"{best}: the file is missing"])
    controls = folder / "controls.csv"
    return PromptSearch(
        model=model,
        title=System.read(model).model_title,
        instruction=best.read_text(encoding="utf-8").strip(),
        candidates=_read_candidates(folder / "candidates.csv"),
        controls=read_csv(controls) if controls.is_file() else None,
    )


def _read_candidates(path: Path) -> pd.DataFrame:
    table = read_csv(path)
    missing = [name for name in ("iteration", "instruction", "score") if name not in table]
    if missing:
        raise DataError(
            "the candidates cannot be read", [f"{path}: no column {', '.join(missing)}"]
        )
    table["best_so_far"] = table["score"].cummax()
    table.insert(0, "number", range(len(table)))
    return table
