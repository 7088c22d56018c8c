"""The stage "analyze_instructions": what searches for instructions are worth on test.

    python -m qsm_core.evaluation.instruction_gains.tables --spec spec.json

Two questions. What does a search add to the best of the simpler ways that had the same price? Which
of them is the best is decided on dev, so that test chooses nothing. And: does the instruction that
was found for one model help another one?

Inputs, for each model of the configuration: `seed_<model>`, its evaluation with the instruction
that it started from; `found_<model>`, with the best one; `further_<model>`, a folder of the stage
"evaluate_further" with instructions `control` and names of other models; `search_<model>`, the
output of its search, where there was one.

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
_NOT_HEARD = "not heard on test: another raced way was better on dev"
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
    """Analyze what models answered under several instructions.

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
        _name(one.model, role): table.assign(system=_name(one.model, role))
        for one in models
        for role, table in one.tables.items()
    }
    check_same_rows(answers)
    test = _Test(answers, settings, [*_gain_pairs(models), *_transfer_pairs(models)])
    gains = [row for one in models for row in _gain_rows(one, test)]
    transfer = [row for one in models if one.others for row in _transfer_rows(one, test)]
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
    """Pair each simpler way that was heard on test with its search."""
    return [
        Pair(_name(one.model, role), _name(one.model, SEARCH), _FAMILIES[way == best])
        for one in models
        if one.ways is not None
        for best in [_best_way(one.ways)]
        for way, role in _roles(one).items()
        if role is not None and not _is_found(one, role)
    ]


def _transfer_pairs(models: Sequence[ModelAnswers]) -> list[Pair]:
    """Pair the best instruction of each model with its first one, and with those of others."""
    return [
        Pair(_name(one.model, SEARCH), _name(one.model, role), family)
        for one in models
        if one.others
        for role, family in ((SEED, _FIRST), *((name, _TRANSFERS) for name in one.others))
        if not _is_found(one, role)
    ]


def _gain_rows(one: ModelAnswers, test: _Test) -> list[dict[str, Any]]:
    """Return the search and each simpler way: what it reached on dev, and on test."""
    if one.ways is None:
        return []
    best, roles = _best_way(one.ways), _roles(one)
    found = _name(one.model, SEARCH)
    rows = []
    for told in one.ways.to_dict("records"):
        way = str(told["way"])
        row = {
            "model": one.model,
            "way": way,
            "best_on_dev": way == best,
            "instruction": told["instruction"],
            "score_on_dev": told["score"],
            "ba_on_dev": told["ba_clip"],
        }
        role = SEARCH if way == SEARCH else roles[way]
        if role is None:
            row["reason"] = _NOT_HEARD
        elif way == SEARCH:
            row |= test.value(found)
        elif _is_found(one, role):
            row |= test.value(found) | {"difference": 0.0, "reason": _SAME}
        else:
            name = _name(one.model, role)
            row |= test.value(name) | test.difference(name, found)
        rows.append(row)
    return rows


def _transfer_rows(one: ModelAnswers, test: _Test) -> list[dict[str, Any]]:
    """Return a model under its first instruction, its own best one, and those of others."""
    own = _name(one.model, SEARCH)
    rows = []
    for role, of in ((SEED, SEED), (SEARCH, one.model), *((name, name) for name in one.others)):
        name = _name(one.model, role)
        row = {
            "model": one.model,
            "instruction_of": of,
            "instruction": one.instructions[role],
            **test.value(name),
        }
        if name == own:
            rows.append(row)
        elif _is_found(one, role):
            rows.append(row | {"difference": 0.0, "reason": _SAME})
        else:
            rows.append(row | test.difference(own, name))
    return rows


def _best_way(ways: pd.DataFrame) -> str:
    """Return the simpler way with the best score on dev; of equals the simplest."""
    simpler = ways[ways["way"] != SEARCH]
    return str(simpler.sort_values("score", ascending=False, kind="stable")["way"].iloc[0])


def _roles(one: ModelAnswers) -> dict[str, str | None]:
    """Return the role under which test heard each simpler way; None: it did not."""
    roles: dict[str, str | None] = {}
    ways = pd.DataFrame() if one.ways is None else one.ways
    for way, text in zip(ways["way"], ways["instruction"], strict=True):
        if way == SEARCH:
            continue
        heard = [role for role in (SEED, CONTROL, SEARCH) if one.instructions.get(role) == text]
        roles[str(way)] = CALIBRATION if way == CALIBRATION else next(iter(heard), None)
    return roles


def _is_found(one: ModelAnswers, role: str) -> bool:
    """Say whether a role has the very instruction that the search ended with, and its threshold."""
    return role != CALIBRATION and one.instructions[role] == one.instructions[SEARCH]


def _name(model: str, role: str) -> str:
    return f"{model}/{role}"


if __name__ == "__main__":
    run_entry(run)
