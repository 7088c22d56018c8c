"""The finals: the best candidates and the seed instruction on all of dev.

The score on the subset picked the finalists and is too good to be true for that very reason, so
the winner is the one with the best score on all of dev. Of equals the seed instruction wins, then
the one that was found first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qsm_core.evaluation.predictions import read_predictions, write_predictions
from qsm_core.prompting.scored import (
    Measures,
    Objective,
    ScoredCandidate,
    measure,
    score_of,
)
from qsm_core.prompting.trajectory import Trajectory


@dataclass(frozen=True)
class Finalist:
    """A candidate on all of dev; `number` is that of the search, 0 the seed instruction."""

    number: int
    score: float
    measures: Measures


class Finals:
    """Finalists, kept in the trajectory, with their predictions beside it."""

    def __init__(self, trajectory: Trajectory, folder: Path, objective: Objective) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._trajectory = trajectory
        self._folder = folder
        self._objective = objective

    @property
    def all(self) -> list[Finalist]:
        """The finalists scored so far, in the order of scoring."""
        return [
            Finalist(e["number"], e["score"], Measures.from_json(e["measures"]))
            for e in self._trajectory.events("finalist")
        ]

    @property
    def winner(self) -> Finalist:
        """The best on all of dev."""
        return min(self.all, key=lambda entry: (-entry.score, entry.number))

    def has(self, number: int) -> bool:
        """Say whether a candidate has been scored on all of dev."""
        return any(entry.number == number for entry in self.all)

    def add(self, entry: ScoredCandidate, predictions: pd.DataFrame) -> None:
        """Keep the predictions of a finalist, then record what it was worth."""
        path = self._path(entry.number)
        beside = path.with_suffix(".part")
        write_predictions(beside, predictions)
        beside.replace(path)
        measures = measure(predictions)
        values = {
            "number": entry.number,
            "score": score_of(self._objective, measures),
            "measures": measures.to_json(),
        }
        self._trajectory.append("finalist", values)

    def predictions(self, number: int) -> pd.DataFrame:
        """Return the predictions of a finalist on all of dev."""
        return read_predictions(self._path(number))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}.parquet"
