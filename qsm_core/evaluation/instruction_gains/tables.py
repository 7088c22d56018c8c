"""The stage "analyze_instructions": what searches for instructions gain on test.

    python -m qsm_core.evaluation.instruction_gains.tables --spec spec.json

Two questions. What does a search add to the best of the simpler ways at the same price? Which
of them is the best is decided on dev, so that test chooses nothing. And: does the instruction that
was found for one model help another one?

Inputs, for each model of the configuration: `seed_<model>`, its evaluation with the instruction
that it started from; `found_<model>`, with the best one; `further_<model>`, a folder of the stage
"evaluate_further" with instructions `control` and names of other models; `search_<model>`, the
output of its search, if there was one.

Output: search_gains and prompt_transfer, each as Parquet and CSV. Balanced accuracies are over
clips, from 0 to 1. A difference is that of the first named minus the other; it comes with the
interval of a paired cluster bootstrap and the p-value of a cluster sign-flip test, corrected by
Holm within its family: the searches against the best simpler way, the searches against the others,
the transfers, the first instructions against the best. No torch is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.alignment import Rows, check_same_rows
from qsm_core.evaluation.analysis.pairwise import compare, interval_columns
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated, assemble, rate_statistics
from qsm_core.evaluation.analysis.settings import AnalysisSettings, Pair
from qsm_core.evaluation.instruction_gains.config import InstructionsConfig
from qsm_core.evaluation.instruction_gains.sources import (
    CALIBRATION,
    CONTROL,
    SEARCH,
    SEED,
    ModelAnswers,
    read_model,
)
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

GAINS, TRANSFER = "search_gains", "prompt_transfer"
_NOT_EVALUATED = "not evaluated on test: another raced way was better on dev"
_SAME = "the same instruction"
_METRIC = "ba_clip"
_FAMILIES = {True: "search against the best simpler way", False: "search against other ways"}
_TRANSFERS, _FIRST = "transfer", "first instruction against the best"
_TESTED = ("value", "low", "high")
_DIFFERENCE = ("difference", "difference_low", "difference_high", "p_value", "p_holm", "verdict")
COLUMNS = {
    GAINS: (
        *("model", "way", "best_on_dev", "instruction", "score_on_dev", "ba_on_dev"),
        *_TESTED,
        *_DIFFERENCE,
        "reason",
    ),
    TRANSFER: ("model", "instruction_of", "instruction", *_TESTED, *_DIFFERENCE, "reason"),
}


def run(context: StageContext) -> dict[str, Any]:
    """Analyze the answers of models under several instructions.

    Raises:
        DataError: An input cannot be read, or the models answered different rows.
    """
    config = parse_config(InstructionsConfig, context.config)
    models = [read_model(model, context.inputs) for model in config.models]
    tables = instruction_tables(models, config.analysis)
    for name, table in tables.items():
        table.to_parquet(context.out / f"{name}.parquet", index=False)
        table.to_csv(context.out / f"{name}.csv", index=False, lineterminator="\n")
    gains = tables[GAINS]
    best = gains[gains["best_on_dev"].astype(bool)]
    return {"search_adds": dict(zip(best["model"], best["difference"], strict=True))}


def instruction_tables(
    models: Sequence[ModelAnswers], settings: AnalysisSettings
) -> dict[str, pd.DataFrame]:
    """Return the tables `search_gains` and `prompt_transfer`.

    In the first, differences are those of the search minus a simpler way; in the second those of
    an instruction minus the best one that was found for the model itself.

    Raises:
        DataError: The models answered different rows.
    """
    answers = {
        _name(entry.model, role): table.assign(system=_name(entry.model, role))
        for entry in models
        for role, table in entry.tables.items()
    }
    check_same_rows(answers)
    test = _Test(answers, settings, [*_gain_pairs(models), *_transfer_pairs(models)])
    gains = [row for entry in models for row in _gain_rows(entry, test)]
    transfer = [row for entry in models if entry.others for row in _transfer_rows(entry, test)]
    return {
        GAINS: pd.DataFrame(gains, columns=list(COLUMNS[GAINS])),
        TRANSFER: pd.DataFrame(transfer, columns=list(COLUMNS[TRANSFER])),
    }


class _Test:
    """Balanced accuracies on test and their paired differences, all from the same resamples."""

    def __init__(
        self,
        answers: Mapping[str, pd.DataFrame],
        settings: AnalysisSettings,
        pairs: Sequence[Pair],
    ) -> None:
        self._ensemble: Ensemble = assemble(answers, settings.bootstrap)
        self._statistics: dict[str, dict[str, Replicated]] = {
            name: rate_statistics(self._ensemble, name) for name in answers
        }
        rows = Rows.of(answers, self._ensemble)
        levels = [np.nan] * len(self._ensemble.first.conditions)
        compared, _ = compare(self._ensemble, self._statistics, rows, pairs, settings, levels)
        self._compared = {
            (row["first"], row["second"]): row for row in compared if row["metric"] == _METRIC
        }

    def value(self, name: str) -> dict[str, Any]:
        """Return a balanced accuracy with its interval."""
        value = self._statistics[name][_METRIC]
        ends = interval_columns(self._ensemble.interval(value))
        return {"value": float(value.value), "low": ends["low"], "high": ends["high"]}

    def difference(self, first: str, second: str) -> dict[str, Any]:
        """Return second minus first, tested."""
        row = self._compared[first, second]
        values = (*(row[name] for name in _TESTED), row["p_value"], row["p_holm"], row["verdict"])
        return dict(zip(_DIFFERENCE, values, strict=True))


def _gain_pairs(models: Sequence[ModelAnswers]) -> list[Pair]:
    """Pair each simpler way that was evaluated on test with its search."""
    return [
        Pair(
            _name(entry.model, role),
            _name(entry.model, SEARCH),
            _FAMILIES[way == best],
        )
        for entry in models
        if entry.ways is not None
        for best in [_best_way(entry.ways)]
        for way, role in _roles(entry).items()
        if role is not None and not _is_found(entry, role)
    ]


def _transfer_pairs(models: Sequence[ModelAnswers]) -> list[Pair]:
    """Pair the best instruction of each model with its first one, and with those of others."""
    return [
        Pair(_name(entry.model, SEARCH), _name(entry.model, role), family)
        for entry in models
        if entry.others
        for role, family in ((SEED, _FIRST), *((name, _TRANSFERS) for name in entry.others))
        if not _is_found(entry, role)
    ]


def _gain_rows(entry: ModelAnswers, test: _Test) -> list[dict[str, Any]]:
    """Return the search and each simpler way with their values on dev and on test."""
    if entry.ways is None:
        return []
    best, roles = _best_way(entry.ways), _roles(entry)
    found = _name(entry.model, SEARCH)
    rows = []
    for on_dev in entry.ways.to_dict("records"):
        way = str(on_dev["way"])
        row = {
            "model": entry.model,
            "way": way,
            "best_on_dev": way == best,
            "instruction": on_dev["instruction"],
            "score_on_dev": on_dev["score"],
            "ba_on_dev": on_dev["ba_clip"],
        }
        role = SEARCH if way == SEARCH else roles[way]
        if role is None:
            row["reason"] = _NOT_EVALUATED
        elif way == SEARCH:
            row |= test.value(found)
        elif _is_found(entry, role):
            row |= test.value(found) | {"difference": 0.0, "reason": _SAME}
        else:
            name = _name(entry.model, role)
            row |= test.value(name) | test.difference(name, found)
        rows.append(row)
    return rows


def _transfer_rows(entry: ModelAnswers, test: _Test) -> list[dict[str, Any]]:
    """Return a model under its first instruction, its own best one, and those of others."""
    own = _name(entry.model, SEARCH)
    rows = []
    for role, of in (
        (SEED, SEED),
        (SEARCH, entry.model),
        *((name, name) for name in entry.others),
    ):
        name = _name(entry.model, role)
        row = {
            "model": entry.model,
            "instruction_of": of,
            "instruction": entry.instructions[role],
            **test.value(name),
        }
        if name == own:
            rows.append(row)
        elif _is_found(entry, role):
            rows.append(row | {"difference": 0.0, "reason": _SAME})
        else:
            rows.append(row | test.difference(own, name))
    return rows


def _best_way(ways: pd.DataFrame) -> str:
    """Return the simpler way with the best score on dev; of equally good ways the simplest."""
    simpler = ways[ways["way"] != SEARCH]
    return str(simpler.sort_values("score", ascending=False, kind="stable")["way"].iloc[0])


def _roles(entry: ModelAnswers) -> dict[str, str | None]:
    """Return the role under which each simpler way was evaluated on test; None if it was not."""
    roles: dict[str, str | None] = {}
    ways = pd.DataFrame() if entry.ways is None else entry.ways
    for way, text in zip(ways["way"], ways["instruction"], strict=True):
        if way == SEARCH:
            continue
        evaluated = [
            role for role in (SEED, CONTROL, SEARCH) if entry.instructions.get(role) == text
        ]
        roles[str(way)] = CALIBRATION if way == CALIBRATION else next(iter(evaluated), None)
    return roles


def _is_found(entry: ModelAnswers, role: str) -> bool:
    """Return whether a role has the same instruction as the search's winner, and its threshold."""
    return role != CALIBRATION and entry.instructions[role] == entry.instructions[SEARCH]


def _name(model: str, role: str) -> str:
    return f"{model}/{role}"


if __name__ == "__main__":
    run_entry(run)
