"""The score of each row: the margin where the table has it, else the probability of SPEECH."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.statistics.calibration import logits_of

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RowScores:
    """A score for every row, higher for speech.

    Attributes:
        values: Shape (N,).
        column: Where they come from: "margin" or "p_speech".
        neutral: The score at which both classes are equally likely: 0 or 0.5.
    """

    values: FloatArray
    column: str
    neutral: float

    @property
    def logits(self) -> FloatArray:
        """The scores as log odds of SPEECH."""
        return self.values if self.column == "margin" else logits_of(self.values)


def scores_of(table: pd.DataFrame, column: str | None = None) -> RowScores | str:
    """Return the scores of all rows, or the reason why there are none.

    Args:
        table: Predictions.
        column: Take this column only, as another table of the system did.
    """
    for name, neutral in (("margin", 0.0), ("p_speech", 0.5)):
        if column in (None, name) and table[name].notna().all():
            return RowScores(table[name].to_numpy(dtype=np.float64), name, neutral)
    missing = int((table["margin"].isna() & table["p_speech"].isna()).sum())
    if missing == len(table):
        return "the system gives no score"
    if column is not None:
        return f"{column} is not there for every row"
    return f"neither margin nor p_speech is there for every row ({missing} have none)"
