"""The free baseline: the same model and instruction, with its threshold calibrated on dev.

An audio LLM answers with the likelier label, which puts its threshold at a margin of 0. A new
instruction, or fine-tuning, moves that threshold, and balanced accuracy with it, although the model
may hear no better. Choosing the threshold on dev costs nothing and moves it too; what is sold as a
better ear has to beat that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.evaluation.scores import scores_of
from qsm_core.labels import Label

FloatArray = npt.NDArray[np.float64]

CALIBRATED = "@dev"


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it gives on the rows where it was chosen.

    Attributes:
        threshold: SPEECH is answered for scores at or above it.
        column: The scores that it is for: "margin" or "p_speech".
        ba_neutral: Balanced accuracy over clips on dev at the neutral score.
        ba: The same at the threshold.
    """

    threshold: float
    column: str
    ba_neutral: float
    ba: float


def choose_threshold(dev: pd.DataFrame) -> OperatingPoint | str:
    """Choose the threshold with the highest balanced accuracy on dev, or say why there is none.

    Thresholds lie halfway between neighboring scores. Of equals the one nearest to the neutral
    score is taken, so that nothing moves without a reason.

    Args:
        dev: Predictions on dev; the answers in them play no part.
    """
    scores = scores_of(dev)
    if isinstance(scores, str):
        return f"on dev {scores}"
    is_speech = (dev["label"] == Label.SPEECH.value).to_numpy()
    if is_speech.all() or not is_speech.any():
        return "dev holds one class only"
    cuts, balanced = _balanced_by_cut(scores.values, is_speech)
    best = np.flatnonzero(balanced >= balanced.max() - 1e-12)
    nearest = best[np.argmin(np.abs(cuts[best] - scores.neutral))]
    threshold = float(cuts[nearest])
    # The cut that answers as the neutral score does: SPEECH at or above it.
    below_neutral = np.unique(scores.values[scores.values < scores.neutral])
    at_neutral = float(balanced[len(below_neutral)])
    if balanced[nearest] <= at_neutral + 1e-12:
        threshold = scores.neutral
    return OperatingPoint(threshold, scores.column, at_neutral, float(balanced[nearest]))


def with_threshold(table: pd.DataFrame, point: OperatingPoint) -> pd.DataFrame | str:
    """Answer the rows of a table by a threshold, or say why that cannot be done.

    A row whose text could not be read has a score all the same, and gets an answer.
    """
    scores = scores_of(table, point.column)
    if isinstance(scores, str):
        return scores
    answer = np.where(scores.values >= point.threshold, Label.SPEECH.value, Label.NONSPEECH.value)
    return table.assign(
        system=table["system"] + CALIBRATED, prediction=pd.array(answer, dtype="str")
    )


def _balanced_by_cut(
    scores: FloatArray, is_speech: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Return all cuts between distinct scores, and below and above them, and what each gives."""
    order = np.argsort(scores, kind="stable")
    ranked, speech = scores[order], is_speech[order]
    last = np.flatnonzero(np.append(np.diff(ranked) > 0, True))
    # Rows at or below a cut are answered NONSPEECH.
    rejected = np.concatenate([[0], np.cumsum(~speech)[last]])
    missed = np.concatenate([[0], np.cumsum(speech)[last]])
    balanced = ((1 - missed / speech.sum()) + rejected / (~speech).sum()) / 2
    distinct = ranked[last]
    cuts = np.concatenate(
        [[distinct[0]], (distinct[:-1] + distinct[1:]) / 2, [np.nextafter(distinct[-1], np.inf)]]
    )
    return cuts, balanced
