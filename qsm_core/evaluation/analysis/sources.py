"""The stage "analyze_sources": all tables of an analysis of systems from anywhere.

    python -m qsm_core.evaluation.analysis.sources --spec spec.json

Inputs: `eval_<system>` for each system, a folder with predictions.parquet or a file in any form
that `predictions.foreign` reads; `dev_<system>` as for the stage "analyze".

Output: as that of "analyze", and systems.json: the titles, which systems answered the
same clips, and remarks for the reader. Systems on different clips are analyzed separately.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.analyze import analyze, check_inputs, read_dev
from qsm_core.evaluation.analysis.clip_sets import common_rows, comparable_sets, merged
from qsm_core.evaluation.analysis.settings import DevRows, Pair, SourcesConfig
from qsm_core.evaluation.analysis.tables import write_analysis
from qsm_core.evaluation.predictions.foreign import read_any
from qsm_core.evaluation.systems import System
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

SYSTEMS_FILE = "systems.json"


def run(context: StageContext) -> dict[str, Any]:
    """Read, check and analyze the systems.

    Raises:
        ConfigurationError: A system has no input, or `dev` names a system that is not analyzed.
        DataError: An input cannot be read, or systems cannot be compared; all problems at once.
    """
    config = parse_config(SourcesConfig, context.config)
    check_inputs(config.titles, config.dev, context.inputs)
    noted: list[str] = []
    tables = read_systems(context.inputs, config.titles, noted)
    remarks = [f"{text}." for text in noted]
    if config.rows == "common":
        before = {name: len(table) for name, table in tables.items()}
        tables = common_rows(tables)
        left = len(next(iter(tables.values())))
        remarks += [
            f"{config.titles[name]}: {left:,} of its {count:,} rows are compared, those that all "
            "systems have."
            for name, count in before.items()
            if count != left
        ]
    sets = comparable_sets(tables)
    named = check_pairs(sets, config.analysis.pairs)
    analyses = [
        analyze(
            {name: tables[name] for name in members},
            dev=_dev_of(members, config.dev, context.inputs),
            settings=replace(config.analysis, pairs=pairs),
            report=context.report,
            threads=int(context.runtime.get("threads", 1)),
        )
        for members, pairs in zip(sets, named, strict=True)
    ]
    if len(sets) > 1:
        remarks.append(_apart(sets, config.titles))
    analysis = merged(analyses)
    write_analysis(context.out, analysis)
    described = {
        "systems": [{"name": name, "title": config.titles[name]} for name in tables],
        "sets": [list(each.order) for each in analyses],
        "remarks": remarks,
    }
    text = json.dumps(described, indent=2, ensure_ascii=False)
    (context.out / SYSTEMS_FILE).write_text(text + "\n", encoding="utf-8")
    return {"systems": len(tables), "clip_sets": len(sets)}


def read_systems(
    inputs: Mapping[str, Path], titles: Mapping[str, str], remarks: list[str] | None = None
) -> dict[str, pd.DataFrame]:
    """Read the predictions of each system.

    Args:
        inputs: `eval_<system>` of each.
        titles: By system.
        remarks: Takes what a reader should know of how a file was read, with its system's title.

    Raises:
        DataError: One cannot be read; the problems of all of them are listed.
    """
    tables, problems = {}, []
    for name, title in titles.items():
        path = inputs[f"eval_{name}"]
        noted: list[str] = []
        try:
            file = path / "predictions.parquet" if path.is_dir() else path
            tables[name] = read_any(file, name, noted)
        except DataError as error:
            problems += [f"{title}: {problem}" for problem in error.problems]
        if remarks is not None:
            remarks += [f"{title}: {text}" for text in noted]
    if problems:
        raise DataError("the predictions cannot be read", problems)
    return tables


def check_pairs(sets: Sequence[Sequence[str]], pairs: Sequence[Pair]) -> list[tuple[Pair, ...]]:
    """Return the named pairs of each clip set.

    Raises:
        DataError: A pair is of systems that answered different clips.
    """
    by_set = [
        tuple(pair for pair in pairs if {_own(pair.first), _own(pair.second)} <= set(members))
        for members in sets
    ]
    apart = [pair for pair in pairs if not any(pair in inside for inside in by_set)]
    if apart:
        problems = [
            f"pair {pair.first},{pair.second}: they answered different clips or conditions; only "
            "systems on the same rows can be compared (--rows common takes those that all have)"
            for pair in apart
        ]
        raise DataError("the pairs cannot be compared", problems)
    return by_set


def _own(system: str) -> str:
    return System.read(system).uncalibrated.name


def _dev_of(
    members: Sequence[str], dev: Mapping[str, DevRows], inputs: Mapping[str, Path]
) -> dict[str, pd.DataFrame]:
    return {name: read_dev(inputs[f"dev_{name}"], dev[name]) for name in members if name in dev}


def _apart(sets: Sequence[Sequence[str]], titles: Mapping[str, str]) -> str:
    groups = "; ".join(", ".join(titles[name] for name in members) for members in sets)
    return (
        f"The systems answered {len(sets)} different sets of test clips ({groups}). Only systems "
        "on the same clips are compared; numbers of different sets differ by their clips as well."
    )


if __name__ == "__main__":
    run_entry(run)
