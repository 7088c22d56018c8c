"""The scores of candidates: measures on clip-conditions of dev, and the score that ranks them.

Objectives, all of them better when higher:

    reward             balanced accuracy over clips + 0.25 x balanced accuracy over conditions
    balanced_accuracy  balanced accuracy over clips
    log_loss           minus the mean over the classes of the mean log-loss, in nats
    auroc              area under the ROC curve of the margins

A length penalty is subtracted for every 100 characters. If the clips belong to no condition of the
grid, the reward is the balanced accuracy over clips times 1.25, which keeps its scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.analysis.metrics import Metrics, compute_metrics
from qsm_core.json_values import to_json_values
from qsm_core.labels import Label
from qsm_core.prompting.config import Objective
from qsm_core.prompting.texts.candidates import Candidate

CONDITIONS_WEIGHT = 0.25


@dataclass(frozen=True)
class Measures:
    """Measures of one instruction on a set of clip-conditions, and the counts behind them.

    Attributes:
        counts: By condition: rows of SPEECH, correct ones, rows of NONSPEECH, correct ones.
    """

    ba_clip: float
    ba_conditions: float | None
    speech_acc: float
    nonspeech_acc: float
    auroc: float | None
    log_loss: float | None
    unparseable_rate: float
    counts: Mapping[str, tuple[int, int, int, int]]

    def to_json(self) -> dict[str, Any]:
        """Return the measures as JSON values."""
        values: dict[str, Any] = to_json_values(asdict(self))
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Measures:
        """Read measures back."""
        counts = {key: tuple(row) for key, row in values["counts"].items()}
        return cls(**{**values, "counts": counts})


@dataclass(frozen=True)
class ScoredCandidate:
    """A candidate with its place in the search.

    Attributes:
        number: 0 for the seed instruction, then in the order of scoring.
        iteration: 0 for the seed instruction, then the step that proposed it.
        candidate: The text and where it comes from.
        score: The objective, on the rows that the candidate was scored on.
        measures: The measures that the score is computed from.
        rows: How many rows it was scored on.
        dropped: Why it was dropped; None while it is in the race.
    """

    number: int
    iteration: int
    candidate: Candidate
    score: float
    measures: Measures
    rows: int = 0
    dropped: str | None = None


@dataclass(frozen=True)
class Finalist:
    """A candidate on all of dev; `number` is that of the search, 0 the seed instruction."""

    number: int
    score: float
    measures: Measures


def measure(predictions: pd.DataFrame) -> Measures:
    """Measure one instruction on its predictions.

    Raises:
        DataError: A class or a condition has no clip, so that a measure is not defined.
    """
    metrics = compute_metrics(predictions)
    undefined = [
        f"{name}: {metrics.reasons[name]}"
        for name in ("speech_acc", "nonspeech_acc", "ba_conditions")
        if name in metrics.reasons and not (name == "ba_conditions" and _is_plain(metrics))
    ]
    if undefined:
        raise DataError("instructions cannot be compared on these clips", undefined)
    return Measures(
        ba_clip=metrics.ba_clip,
        ba_conditions=_number(metrics.ba_conditions),
        speech_acc=metrics.speech_acc,
        nonspeech_acc=metrics.nonspeech_acc,
        auroc=_number(metrics.auroc),
        log_loss=_log_loss(predictions),
        unparseable_rate=metrics.unparseable_rate,
        counts=_counts(metrics),
    )


def penalty_of(text: str, length_penalty: float) -> float:
    """Return the penalty for the length of an instruction."""
    return length_penalty * len(text) / 100


def score_of(objective: Objective, measures: Measures) -> float:
    """Return the number that ranks candidates, before any penalty.

    Raises:
        ConfigurationError: Probabilities are needed, and the answers have none.
    """
    if objective == "balanced_accuracy":
        return measures.ba_clip
    if objective == "reward":
        over_conditions = measures.ba_conditions
        second = measures.ba_clip if over_conditions is None else over_conditions
        return measures.ba_clip + CONDITIONS_WEIGHT * second
    if measures.log_loss is None or measures.auroc is None:
        problem = f"objective = {objective!r}: open answers have no probability; take 'reward'"
        raise ConfigurationError("the search cannot rank its candidates", [problem])
    return measures.auroc if objective == "auroc" else -measures.log_loss


def _is_plain(metrics: Metrics) -> bool:
    """Return whether no row belongs to a dimension of the grid."""
    return not metrics.dimension_metrics


def _log_loss(predictions: pd.DataFrame) -> float | None:
    """Return the mean over the classes of the mean negative log-probability of the label."""
    margin = predictions["margin"].to_numpy(dtype=float)
    if np.isnan(margin).any():
        return None
    is_speech = (predictions["label"] == Label.SPEECH.value).to_numpy()
    losses = np.logaddexp(0.0, np.where(is_speech, -margin, margin))
    return float((losses[is_speech].mean() + losses[~is_speech].mean()) / 2)


def _counts(metrics: Metrics) -> dict[str, tuple[int, int, int, int]]:
    return {
        key: (
            condition.n_speech,
            _correct(condition.speech_acc, condition.n_speech),
            condition.n_nonspeech,
            _correct(condition.nonspeech_acc, condition.n_nonspeech),
        )
        for key, condition in metrics.condition_metrics.items()
    }


def _correct(recall: float, rows: int) -> int:
    return round(recall * rows) if rows else 0


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
