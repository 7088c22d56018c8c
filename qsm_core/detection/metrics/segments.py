"""Segment-based metrics and error rates, as in sound event detection.

Time is divided into segments of equal length; a label is active in each segment that one of its
events touches, also in part. Reference: A. Mesaros, T. Heittola, T. Virtanen, "Metrics for
polyphonic sound event detection", Applied Sciences 6 (2016) 162.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.detection.metrics.counting import Comparison
from qsm_core.detection.metrics.matching import Collar, Events, match

IntArray = npt.NDArray[np.int64]

# A begin at 0.3 s lies on the edge of segments of 0.1 s, although 0.3 / 0.1 is below 3.
_ROUNDED_DECIMALS = 9


@dataclass(frozen=True)
class ErrorRate:
    """Errors over the number of annotations (or of active segments): 0 is best, 1 is easy to have.

    Attributes:
        substitutions: Something was there, but it is another label.
        deletions: Something was there, and nothing was found.
        insertions: Nothing was there, and something was found.
    """

    substitutions: float
    deletions: float
    insertions: float

    @property
    def total(self) -> float:
        """The error rate."""
        return self.substitutions + self.deletions + self.insertions


def segment_counts(
    truth: pd.DataFrame, found: pd.DataFrame, segment_s: float, *, exact: bool = False
) -> tuple[pd.DataFrame, ErrorRate]:
    """Count active segments.

    Args:
        truth: A table of annotations; unsure ones are left out.
        found: A table of detections.
        segment_s: Length of a segment.
        exact: Do not round the quotients of times and segments, as sed_eval does not: what ends
            at 10.2 s and a rounding error then touches the segment behind.

    Returns:
        One row for each recording and label (recording_id, label, n_truth, n_found, tp, fp, fn,
        all in segments), and the error rate over all of them.
    """
    sure = truth[~truth["is_unsure"]]
    labels = sorted(set(sure["label"]) | set(found["label"]))
    rows = []
    wrong = np.zeros(3)
    for recording in sorted(set(sure["recording_id"]) | set(found["recording_id"])):
        own = [each[each["recording_id"] == recording] for each in (sure, found)]
        spans = [_segments(each, segment_s, exact=exact) for each in own]
        count = max(int(behind.max(initial=0)) for _, behind in spans)
        sums = np.zeros((3, count), dtype=np.int64)
        for label in labels:
            is_true, is_found = (
                _active(first[own_label], behind[own_label], count)
                for (first, behind), own_label in zip(
                    spans, [(each["label"] == label).to_numpy() for each in own], strict=True
                )
            )
            both = is_true & is_found
            sums += np.stack([is_true, is_found, both])
            t, f, tp = int(is_true.sum()), int(is_found.sum()), int(both.sum())
            rows.append((recording, label, t, f, tp, f - tp, t - tp))
        missed, extra = sums[0] - sums[2], sums[1] - sums[2]
        swapped = np.minimum(missed, extra)
        wrong += [swapped.sum(), (missed - swapped).sum(), (extra - swapped).sum()]
    columns = ["recording_id", "label", "n_truth", "n_found", "tp", "fp", "fn"]
    counts = pd.DataFrame(rows, columns=columns)
    return counts, _rate(wrong, int(counts["n_truth"].sum()))


def event_error_rate(
    truth: pd.DataFrame, found: pd.DataFrame, compared: Comparison, collar: Collar
) -> ErrorRate:
    """Return the event-based error rate: a miss and a false alarm at one place are a substitution.

    Args:
        truth: The annotations that were compared.
        found: The detections.
        compared: Their comparison by label.
        collar: Which misses and false alarms are at one place, whatever their labels.
    """
    sure = ~truth["is_unsure"].to_numpy()
    missed = truth[sure & ~np.isin(np.arange(len(truth)), compared.pairs["truth"])]
    alarms = found[~np.isin(np.arange(len(found)), compared.pairs["found"])]
    swapped = 0
    for recording, own in missed.groupby("recording_id"):
        others = alarms[alarms["recording_id"] == recording]
        pairs = collar.pairs(_events(own), _events(others))
        swapped += len(match(pairs, len(own), len(others)).truth)
    sums = compared.counts[["n_truth", "fp", "fn"]].sum()
    wrong = np.array([swapped, sums["fn"] - swapped, sums["fp"] - swapped], dtype=np.float64)
    return _rate(wrong, int(sums["n_truth"]))


def _rate(wrong: npt.NDArray[np.float64], of: int) -> ErrorRate:
    return ErrorRate(*(float(each / of) if of else np.nan for each in wrong))


def _segments(events: pd.DataFrame, segment_s: float, *, exact: bool) -> tuple[IntArray, IntArray]:
    """Return the first segment of each event and the one behind its last."""
    times = events[["begin_s", "end_s"]].to_numpy(np.float64).T / segment_s
    begin, end = times if exact else np.round(times, _ROUNDED_DECIMALS)
    return np.floor(begin).astype(np.int64), np.ceil(end).astype(np.int64)


def _active(first: IntArray, behind: IntArray, count: int) -> npt.NDArray[np.bool_]:
    edges = np.bincount(first, minlength=count + 1) - np.bincount(behind, minlength=count + 1)
    active: npt.NDArray[np.bool_] = np.cumsum(edges)[:count] > 0
    return active


def _events(table: pd.DataFrame) -> Events:
    return Events(table["begin_s"].to_numpy(np.float64), table["end_s"].to_numpy(np.float64))
