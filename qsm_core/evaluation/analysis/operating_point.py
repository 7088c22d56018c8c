"""The free baseline: the same model and instruction, with its threshold calibrated on dev.

An audio LLM answers with the likelier label, which puts its threshold at a margin of 0. A new
instruction, or fine-tuning, moves that threshold, and balanced accuracy with it, although the model
may hear no better. Choosing the threshold on dev costs nothing and moves it too; whatever claims to
hear better must beat that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.decision import fit_decision
from qsm_core.evaluation.analysis.scores import scores_of
from qsm_core.evaluation.systems import System
from qsm_core.labels import Label


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and its balanced accuracy on the rows where it was chosen.

    Attributes:
        threshold: SPEECH is answered for scores above it.
        column: The scores that it applies to: "margin" or "p_speech".
        ba_neutral: Balanced accuracy over clips on dev at the neutral score.
        ba: The same at the threshold.
    """

    threshold: float
    column: str
    ba_neutral: float
    ba: float


def choose_threshold(dev: pd.DataFrame) -> OperatingPoint | str:
    """Choose the threshold with the highest balanced accuracy on dev, or say why there is none.

    Args:
        dev: Predictions on dev; only their scores are used.
    """
    scores = scores_of(dev)
    if isinstance(scores, str):
        return f"on dev {scores}"
    is_speech = (dev["label"] == Label.SPEECH.value).to_numpy(dtype=bool)
    if is_speech.all() or not is_speech.any():
        return "dev holds one class only"
    decision = fit_decision(scores.values, is_speech)
    above = scores.values > scores.neutral
    at_neutral = (above[is_speech].mean() + (~above[~is_speech]).mean()) / 2
    return OperatingPoint(
        decision.threshold, scores.column, float(at_neutral), decision.balanced_accuracy
    )


def with_threshold(table: pd.DataFrame, point: OperatingPoint) -> pd.DataFrame | str:
    """Answer the rows of a table by a threshold, or say why that cannot be done.

    A row whose text could not be read still has a score, and so gets an answer.
    """
    scores = scores_of(table, point.column)
    if isinstance(scores, str):
        return scores
    answer = np.where(scores.values > point.threshold, Label.SPEECH.value, Label.NONSPEECH.value)
    if (table["prediction"] == answer).all():
        return "the calibrated threshold changes no answer"
    names = {name: System.read(name).at_dev_threshold.name for name in table["system"].unique()}
    return table.assign(
        system=table["system"].map(names).astype("str"), prediction=pd.array(answer, dtype="str")
    )
