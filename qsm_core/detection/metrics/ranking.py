"""Average precision: how well the scores of detections order hits before false alarms.

Detections are taken in order of their score; each takes the free annotation of its recording and
label that overlaps it most, if that is enough, and is a hit then. With the precision P and the
recall R after each distinct score, AP is the sum of P times the gain in R: no interpolation.

Reference: M. Everingham et al., "The PASCAL visual object classes challenge", IJCV 88 (2010).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.detection.metrics.counting import events_of
from qsm_core.detection.metrics.matching import Criterion, Overlap
from qsm_core.errors import DataError

FloatArray = npt.NDArray[np.float64]


class Ranking(NamedTuple):
    """Precision and recall of the detections of at least each score; arrays of shape (S,)."""

    score: FloatArray
    precision: FloatArray
    recall: FloatArray
    average_precision: float


def rank(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    criterion: Criterion = Overlap(0.3),  # noqa: B008  (frozen)
    *,
    by_label: bool = True,
) -> Ranking:
    """Return precision and recall along the scores of detections.

    Args:
        truth: A table of annotations. A detection that is left with an unsure one is not counted.
        found: A table of detections with scores.
        criterion: Which pairs may be matched.
        by_label: Whether labels must be equal.

    Raises:
        DataError: A detection has no score.
    """
    if found["score"].isna().any():
        row = int(found["score"].isna().to_numpy().argmax())
        raise DataError("detections cannot be ranked", [f"row {row}: has no score"])
    is_hit, is_ignored = _walk(truth, found, criterion, by_label=by_label)
    score = found["score"].to_numpy(np.float64)
    order = np.argsort(-score, kind="stable")
    order = order[~is_ignored[order]]
    hits = np.cumsum(is_hit[order])
    # Equal scores cannot be told apart by a threshold: only the last of them is a point.
    last = np.flatnonzero(np.diff(score[order], append=-np.inf) != 0)
    count = int((~truth["is_unsure"]).sum())
    precision = hits[last] / (last + 1)
    recall = hits[last] / count if count else np.full(len(last), np.nan)
    gains = np.diff(recall, prepend=0.0)
    average = float(np.sum(gains * precision)) if count else float("nan")
    return Ranking(score[order][last], precision, recall, average)


def _walk(
    truth: pd.DataFrame, found: pd.DataFrame, criterion: Criterion, *, by_label: bool
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return for each detection whether it is a hit, and whether it is ignored."""
    names = ["recording_id", "label"] if by_label else ["recording_id"]
    unsure = truth["is_unsure"].to_numpy()
    is_hit, is_ignored = np.zeros(len(found), dtype=bool), np.zeros(len(found), dtype=bool)
    places = found.groupby(names).indices
    score = found["score"].to_numpy(np.float64)
    for key, t in truth.groupby(names).indices.items():
        if key not in places:
            continue
        f = places[key]
        pairs = criterion.pairs(events_of(truth, t), events_of(found, f))
        free = np.ones(len(t), dtype=bool)
        for number in np.argsort(-score[f], kind="stable"):
            own = np.flatnonzero((pairs.found == number) & free[pairs.truth])
            if len(own) == 0:
                continue
            # A sure annotation comes before an unsure one, however well that fits.
            value = pairs.closeness[own] - 2.0 * unsure[t[pairs.truth[own]]]
            best = pairs.truth[own[np.argmax(value)]]
            free[best] = False
            is_hit[f[number]] = not unsure[t[best]]
            is_ignored[f[number]] = unsure[t[best]]
    return is_hit, is_ignored
