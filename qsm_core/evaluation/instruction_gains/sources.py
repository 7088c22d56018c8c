"""The answers of models on test under several instructions, read from evaluations and searches.

A role says what an instruction is to a model: `seed` (it started from it), `search` (the best one
that was found or given), `calibration` (the first one with a threshold from dev), `control` (the
best that a simpler way found, chosen on dev), or the name of another model, whose best it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qsm_core.evaluation.analysis.analyze import read_dev
from qsm_core.evaluation.analysis.operating_point import choose_threshold, with_threshold
from qsm_core.evaluation.analysis.stage_files import read_csv, read_json
from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.evaluation.scoring.instructions import INSTRUCTIONS_FILE

SEARCH, SEED, CALIBRATION, CONTROL = "search", "seed", "calibration", "control"
_PREDICTIONS, _METRICS, _CONTROLS = "predictions.parquet", "metrics.json", "controls.csv"


@dataclass(frozen=True)
class ModelAnswers:
    """One model under several instructions.

    Attributes:
        model: Its name.
        instructions: By role.
        tables: Predictions on test by role.
        ways: What the search and simpler ways reached on dev, the search first: way, instruction,
            score, ba_clip; None where there was no search.
    """

    model: str
    instructions: Mapping[str, str]
    tables: Mapping[str, pd.DataFrame]
    ways: pd.DataFrame | None

    @property
    def others(self) -> list[str]:
        """The models whose best instructions this model was evaluated with."""
        return [role for role in self.instructions if role not in _OWN]


_OWN = frozenset({SEARCH, SEED, CALIBRATION, CONTROL})


def read_model(model: str, inputs: Mapping[str, Path]) -> ModelAnswers:
    """Read the answers of a model to all of its instructions.

    Args:
        model: Its name.
        inputs: `seed_<model>`, `found_<model>`, and optionally `further_<model>` and
            `search_<model>`.

    Raises:
        DataError: A file is missing or cannot be read.
    """
    by_text, instructions = {}, {}
    for role, place in ((SEED, f"seed_{model}"), (SEARCH, f"found_{model}")):
        text = str(read_json(inputs[place] / _METRICS)["instruction"])
        instructions[role] = text
        by_text[text] = read_predictions(inputs[place] / _PREDICTIONS)
    further = inputs.get(f"further_{model}")
    if further is not None:
        described = read_json(further / INSTRUCTIONS_FILE)
        instructions |= {role: str(entry["instruction"]) for role, entry in described.items()}
        answered = [role for role, entry in described.items() if entry["asked"]]
        by_text |= _answers(further, answered, instructions)
    tables = {role: by_text[text] for role, text in instructions.items()}
    search = inputs.get(f"search_{model}")
    if search is None:
        return ModelAnswers(model, instructions, tables, None)
    calibrated = _calibrated(tables[SEED], search)
    if calibrated is not None:
        instructions[CALIBRATION] = instructions[SEED]
        tables[CALIBRATION] = calibrated
    return ModelAnswers(model, instructions, tables, read_csv(search / _CONTROLS))


def _answers(
    folder: Path, roles: Sequence[str], instructions: Mapping[str, str]
) -> dict[str, pd.DataFrame]:
    """Return the answers to further instructions by their texts."""
    if not roles:  # all of them are answered in other evaluations
        return {}
    table = read_predictions(folder / _PREDICTIONS)
    return {
        instructions[role]: table[table["system"] == role].reset_index(drop=True) for role in roles
    }


def _calibrated(table: pd.DataFrame, search: Path) -> pd.DataFrame | None:
    """Return the answers to the first instruction by a threshold from dev, if there are scores."""
    point = choose_threshold(read_dev(search, "first"))
    if isinstance(point, str):
        return None
    moved = with_threshold(table, point)
    return table if isinstance(moved, str) else moved  # the threshold changes no answer
