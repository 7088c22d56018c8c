"""The score of each row: the margin where the table has it, else the probability of SPEECH."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.statistics.calibration import logits_of

FloatArray = npt.NDArray[np.float64]

MOST_MISSING = 0.01


@dataclass(frozen=True)
class RowScores:
    """A score for every row, higher for speech.

    Attributes:
        values: Shape (N,).
        column: Where they come from: "margin" or "p_speech".
        neutral: The score at which both classes are equally likely: 0 or 0.5.
        filled: Rows without a score, which count as neutral.
    """

    values: FloatArray
    column: str
    neutral: float
    filled: int

    @property
    def logits(self) -> FloatArray:
        """The scores as log odds of SPEECH."""
        return self.values if self.column == "margin" else logits_of(self.values)

    @property
    def note(self) -> str | None:
        """What to warn of."""
        if not self.filled:
            return None
        if self.filled == 1:
            return "1 row without a score counts as undecided"
        return f"{self.filled} rows without a score count as undecided"


def scores_of(table: pd.DataFrame, column: str | None = None) -> RowScores | str:
    """Return the scores of all rows, or the reason why there are none.

    Up to one row in a hundred may lack a score, such as an answer that could not be read: it counts
    as undecided, since leaving it out would compare systems on different rows.

    Args:
        table: Predictions.
        column: Take this column only, as another table of the system did.
    """
    for name, neutral in (("margin", 0.0), ("p_speech", 0.5)):
        missing = table[name].isna()
        if column in (None, name) and missing.mean() <= MOST_MISSING:
            values = table[name].fillna(neutral).to_numpy(dtype=np.float64)
            return RowScores(values, name, neutral, int(missing.sum()))
    none = int((table["margin"].isna() & table["p_speech"].isna()).sum())
    if none == len(table):
        return "the system gives no score"
    if column is not None:
        return f"{column} is not there for every row"
    return f"neither margin nor p_speech is there for every row ({none} have none)"
