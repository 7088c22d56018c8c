"""The score of the DCASE challenge on few-shot bioacoustic event detection (task 5).

The first five sure events of a recording are given to the detector; everything up to the end of the
fifth is left out of the annotations. Detections match by IoU > 0.3; those of the rest that match an
unsure event are ignored. Counts are summed over the recordings of a subset, and the harmonic mean
over subsets is the score. A rate below 1e-5 counts as 1e-5, so that one empty subset does not
make the mean undefined.

As in the official scorer, a recording without any detection misses all of its sure events, the
first five among them.

Reference: V. Morfi et al., "Few-shot bioacoustic event detection: a new task at the DCASE 2021
challenge", DCASE workshop 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.matching import Criterion, Overlap

SHOTS = 5
FLOOR = 1e-5


@dataclass(frozen=True, eq=False)
class FewShot:
    """The score and what it is made of.

    Attributes:
        recordings: recording_id, subset, tp, fp, fn, n_truth, precision, recall, f1.
        subsets: subset and the same columns.
        precision: Harmonic mean over subsets.
        recall: Harmonic mean over subsets.
        f1: Harmonic mean over subsets: the score, from 0 to 1.
    """

    recordings: pd.DataFrame
    subsets: pd.DataFrame
    precision: float
    recall: float
    f1: float


def few_shot_score(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    subsets: Mapping[str, str],
    *,
    criterion: Criterion = Overlap(0.3),  # noqa: B008  (frozen)
    shots: int = SHOTS,
) -> FewShot:
    """Return the score of detections.

    Args:
        truth: Annotations with `is_unsure`; of one class a recording, whose label is not looked at.
        found: Detections.
        subsets: The subset of each recording.
        criterion: Which pairs may be matched.
        shots: How many sure events are given.
    """
    answered = set(found["recording_id"])
    kept = [
        after_shots(rows, shots) if name in answered else rows
        for name, rows in truth[truth["recording_id"].isin(list(subsets))].groupby("recording_id")
    ]
    left = pd.concat(kept, ignore_index=True) if kept else truth.iloc[:0]
    asked = found[found["recording_id"].isin(list(subsets))].reset_index(drop=True)
    counts = compare(left, asked, criterion, recordings=subsets, by_label=False).counts
    counts = counts.assign(subset=counts["recording_id"].map(dict(subsets)))
    columns = ["tp", "fp", "fn", "n_truth"]
    by_subset = counts.groupby("subset", as_index=False)[columns].sum()
    scored = _with_rates(by_subset)
    means = {name: float(stats.hmean(scored[name])) for name in ("precision", "recall", "f1")}
    return FewShot(_with_rates(counts[["recording_id", "subset", *columns]]), scored, **means)


def after_shots(events: pd.DataFrame, shots: int = SHOTS) -> pd.DataFrame:
    """Leave out what ends no later than the given number of sure events.

    Sure events are counted in the order in which the table has them. A recording with fewer has
    nothing left.
    """
    if shots == 0:
        return events
    sure = events[~events["is_unsure"]]
    if len(sure) < shots:
        return events.iloc[:0]
    last = float(sure["end_s"].to_numpy(np.float64)[shots - 1])
    return events.loc[events["end_s"].to_numpy(np.float64) > last]


def _with_rates(counts: pd.DataFrame) -> pd.DataFrame:
    tp, fp, fn = (counts[name].to_numpy(np.float64) for name in ("tp", "fp", "fn"))
    none = tp == 0
    safe = np.where(none, 1.0, tp)
    return counts.assign(
        precision=np.where(none, FLOOR, np.maximum(safe / (safe + fp), FLOOR)),
        recall=np.where(none, FLOOR, safe / (safe + fn)),
        f1=np.where(none, FLOOR, safe / (safe + 0.5 * (fp + fn))),
    )
