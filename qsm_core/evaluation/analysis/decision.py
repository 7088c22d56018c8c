"""The decision threshold of a detector's score, found on dev clips.

The threshold is the one with the highest balanced accuracy on dev; among equally good ones, the
middle of the widest gap between scores. The slope turns scores into probabilities: it has the
highest class-balanced likelihood on dev with that threshold at one half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from qsm_core.errors import DataError

# Logits for the spread of the scores. Scores that separate the classes have no finite best slope.
_STEEPEST = 50.0


@dataclass(frozen=True)
class Decision:
    """Speech is what scores above `threshold`.

    Attributes:
        threshold: In the units of the score.
        slope: Logits of the probability of speech for one unit of score.
        balanced_accuracy: On the clips on which it was fitted.
    """

    threshold: float
    slope: float
    balanced_accuracy: float

    def margins(self, scores: np.ndarray) -> np.ndarray:
        """Return the logit of the probability of speech, (N,): above zero is speech."""
        return self.slope * (scores - self.threshold)


def fit_decision(scores: np.ndarray, is_speech: np.ndarray) -> Decision:
    """Fit threshold and slope.

    Args:
        scores: One number a clip, (N,), larger for speech.
        is_speech: The truth, (N,) bool.

    Raises:
        DataError: A class has no clip.
    """
    if is_speech.all() or not is_speech.any():
        missing = "NONSPEECH" if is_speech.all() else "SPEECH"
        problem = f"dev has no {missing} clip: a threshold needs clips of both classes"
        raise DataError("the detector cannot be calibrated", [problem])
    threshold, accuracy = _best_threshold(scores, is_speech)
    return Decision(threshold, _slope(scores - threshold, is_speech), accuracy)


def _best_threshold(scores: np.ndarray, is_speech: np.ndarray) -> tuple[float, float]:
    """Return the threshold, between two scores or outside of all, and its balanced accuracy."""
    values = np.unique(scores)
    edge = (values[-1] - values[0]) or 1.0
    cuts = np.concatenate([[values[0] - edge], (values[:-1] + values[1:]) / 2, [values[-1] + edge]])
    gaps = np.concatenate([[0.0], np.diff(values), [0.0]])
    # How many of each class lie above each cut.
    hits = [
        (of_class.size - np.searchsorted(of_class, cuts, side="right")) / of_class.size
        for of_class in (np.sort(scores[is_speech]), np.sort(scores[~is_speech]))
    ]
    accuracy = (hits[0] + 1.0 - hits[1]) / 2
    best = np.flatnonzero(np.isclose(accuracy, accuracy.max(), atol=1e-12))
    chosen = best[np.argmax(gaps[best])]
    return float(cuts[chosen]), float(accuracy[chosen])


def _slope(distances: np.ndarray, is_speech: np.ndarray) -> float:
    """Return the slope with the smallest log-loss, each class weighing one half."""
    spread = float(distances.std()) or 1.0
    signed = np.where(is_speech, distances, -distances) / spread
    weights = np.where(is_speech, 0.5 / is_speech.sum(), 0.5 / (~is_speech).sum())

    def loss(slope: float) -> float:
        return float((weights * np.logaddexp(0.0, -slope * signed)).sum())

    best = minimize_scalar(loss, bounds=(1e-3, _STEEPEST), method="bounded")
    return float(best.x) / spread
