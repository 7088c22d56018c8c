"""The value of each row of dev for an objective, so that two candidates can be compared in pairs.

Every objective is written as one half of the mean value of the SPEECH rows plus one half of that of
the NONSPEECH rows:

    balanced_accuracy  1 where the answer is right, else 0
    reward             the same, times the weight that the row has in BA_clip + 0.25 BA_conditions
    log_loss           minus the log-loss of the row
    auroc              twice the share of rows of the other class that the row is on the right side
                       of, minus the area: DeLong's structural components (E. DeLong et al.,
                       Biometrics 44 (1988) 837-845), whose class means are the area and whose
                       variance is that of the area

A race compares candidates by `race_values`, which for the first two of these use the margin too: a
right answer by a hair and a wrong one by a hair differ by chance. Instead of 1 or 0 such a row
counts as a share of a right answer that grows with its margin (docs/decisions/0029 has what this
saves, and what a wider smoothing would cost).

Legend: N rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr
from scipy.stats import rankdata

from qsm_core.labels import Label
from qsm_core.prompting.candidate_scores import CONDITIONS_WEIGHT
from qsm_core.prompting.config import Objective

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
NO_DIMENSION = -1
_BANDWIDTH = 0.15  # of the smoothing, next to the root mean square of a candidate's margins


@dataclass(frozen=True)
class Rows:
    """Rows of dev as numbers, each array (N,).

    Attributes:
        is_speech: The truth.
        group: Which speaker or recording.
        condition: Which condition.
        dimension: That of the condition; NO_DIMENSION for a clip outside the grid.
    """

    is_speech: BoolArray
    group: IntArray
    condition: IntArray
    dimension: IntArray

    @classmethod
    def of(cls, plan: pd.DataFrame) -> Rows:
        """Number the groups, conditions and dimensions of a plan."""
        return cls(
            (plan["label"] == Label.SPEECH.value).to_numpy(dtype=bool),
            pd.factorize(plan["group_id"])[0].astype(np.int64),
            pd.factorize(plan["condition"])[0].astype(np.int64),
            pd.factorize(plan["dimension"])[0].astype(np.int64),
        )

    def take(self, rows: IntArray) -> Rows:
        """Return the rows at these positions, in that order."""
        return Rows(
            self.is_speech[rows], self.group[rows], self.condition[rows], self.dimension[rows]
        )


@dataclass(frozen=True)
class Answers:
    """What a candidate answered: whether it was right and its margin, both (N,)."""

    correct: BoolArray
    margin: FloatArray

    @classmethod
    def of(cls, predictions: pd.DataFrame) -> Answers:
        """Read them from a predictions table."""
        right = predictions["prediction"] == predictions["label"]
        return cls(
            right.fillna(False).to_numpy(dtype=bool), predictions["margin"].to_numpy(dtype=float)
        )


def values_of(objective: Objective, rows: Rows, answers: Answers) -> FloatArray:
    """Return the value of each row, (N,); both classes must be present."""
    if objective == "balanced_accuracy":
        return answers.correct.astype(np.float64)
    if objective == "reward":
        return answers.correct * reward_weights(rows)
    if objective == "log_loss":
        return -np.logaddexp(0.0, np.where(rows.is_speech, -answers.margin, answers.margin))
    return _placements(rows.is_speech, answers.margin)


def race_values(objective: Objective, rows: Rows, answers: Answers) -> FloatArray:
    """Return the value of each row for a race, (N,): right answers are smoothed by their margin.

    A row without a margin, or whose answer is not the one that its margin says, is not smoothed.
    """
    if objective not in ("balanced_accuracy", "reward"):
        return values_of(objective, rows, answers)
    correct = answers.correct.astype(np.float64)
    known = np.isfinite(answers.margin)
    towards = np.where(rows.is_speech, answers.margin, -answers.margin)
    spread = np.sqrt(np.mean(towards[known] ** 2)) if known.any() else 0.0
    if spread > 0:
        agrees = known & ((towards > 0) == answers.correct)
        correct[agrees] = ndtr(towards[agrees] / (_BANDWIDTH * spread))
    return correct * reward_weights(rows) if objective == "reward" else correct


def mean_of(rows: Rows, values: FloatArray) -> float:
    """Return the objective from the values of rows."""
    return float(values[rows.is_speech].mean() + values[~rows.is_speech].mean()) / 2


def reward_weights(rows: Rows) -> FloatArray:
    """Return what a right answer counts for in the reward, (N,), next to 1 in its class's recall.

    Where no row belongs to a dimension, the reward is 1.25 times the balanced accuracy.
    """
    in_grid = rows.dimension != NO_DIMENSION
    if not in_grid.any():
        return np.full(len(in_grid), 1.0 + CONDITIONS_WEIGHT)
    weights = np.ones(len(in_grid))
    dimensions = np.unique(rows.dimension[in_grid])
    for is_speech in (True, False):
        of_class = rows.is_speech == is_speech
        for dimension in dimensions:
            of_dimension = of_class & (rows.dimension == dimension)
            conditions, places, sizes = np.unique(
                rows.condition[of_dimension], return_inverse=True, return_counts=True
            )
            share = CONDITIONS_WEIGHT / (len(dimensions) * len(conditions) * sizes)
            weights[of_dimension] += of_class.sum() * share[places]
    return weights


def _placements(is_speech: BoolArray, margin: FloatArray) -> FloatArray:
    num_speech, num_other = int(is_speech.sum()), int((~is_speech).sum())
    among_all = rankdata(margin)
    placements = np.empty(len(margin))
    # Rank among all minus rank among one's own class: rows of the other class below, ties one half.
    below = among_all[is_speech] - rankdata(margin[is_speech])
    placements[is_speech] = below / num_other
    below = among_all[~is_speech] - rankdata(margin[~is_speech])
    placements[~is_speech] = 1.0 - below / num_speech
    area = placements[is_speech].mean()
    values: FloatArray = 2.0 * placements - area
    return values
