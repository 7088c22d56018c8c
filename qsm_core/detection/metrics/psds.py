"""The intersection criterion and the polyphonic sound detection score (PSDS).

A detection is relevant if at least `dtc` of it lies in annotations of its label; an annotation is
found if at least `gtc` of it lies in relevant detections. Other detections are false alarms; one of
which at least `cttc` lies in annotations of another label is a cross trigger besides. PSDS is the
area under the curve of the effective true positive rate (mean over labels less `alpha_st` standard
deviations) against the effective rate of false alarms (a label's false alarms an hour plus
`alpha_ct` times its mean rate of cross triggers), up to `max_rate`, over `max_rate`.

Annotations of one label that overlap count one by one, and what lies in several of them counts
several times, as in psds_eval before it refused such tables. sed_scores_eval joins those that touch
first: `union_by_label`.

Reference: C. Bilen et al., "A framework for the robust evaluation of sound event detection",
ICASSP 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from qsm_core.detection.metrics.counting import events_of
from qsm_core.detection.metrics.matching import overlapping_pairs

FloatArray = npt.NDArray[np.float64]

Share = Annotated[float, Field(gt=0, le=1)]
# Sums of shares such as 0.1 + 0.2 must reach 0.3.
_SLACK = 1e-9


@dataclass(frozen=True)
class PsdsSettings:
    """What counts, and how errors are weighed; defaults are those of the first scenario of DCASE.

    Args:
        dtc: Share of a detection that must lie in annotations.
        gtc: Share of an annotation that must lie in relevant detections.
        cttc: Share of a false alarm in another label that makes it a cross trigger.
        alpha_ct: Weight of cross triggers.
        alpha_st: Weight of differences between labels.
        max_rate: Largest rate of false alarms an hour.
    """

    dtc: Share = 0.7
    gtc: Share = 0.7
    cttc: Share = 0.3
    alpha_ct: Annotated[float, Field(ge=0, le=1)] = 0.0
    alpha_st: Annotated[float, Field(ge=0)] = 1.0
    max_rate: Annotated[float, Field(gt=0)] = 100.0


class Intersections(NamedTuple):
    """Counts by label, in the order of `labels` (L of them).

    Attributes:
        labels: Of annotations and detections.
        n_truth: Annotations, shape (L,).
        truth_s: Their length in seconds, shape (L,).
        tp: Annotations that were found, shape (L,).
        fp: Detections that are not relevant, shape (L,).
        cross: Cross triggers of the detected label (row) in the annotated one (column), (L, L).
    """

    labels: tuple[str, ...]
    n_truth: FloatArray
    truth_s: FloatArray
    tp: FloatArray
    fp: FloatArray
    cross: FloatArray


def intersections(
    truth: pd.DataFrame,
    found: pd.DataFrame,
    settings: PsdsSettings,
    labels: Sequence[str] | None = None,
) -> Intersections:
    """Count by the intersection criterion.

    Args:
        truth: A table of annotations; unsure ones are left out.
        found: A table of detections.
        settings: dtc, gtc and cttc.
        labels: Labels in their order; by default all that occur.
    """
    truth = _with_length(truth[~truth["is_unsure"]])
    found = _with_length(found)
    names = sorted(set(truth["label"]) | set(found["label"])) if labels is None else list(labels)
    code = {name: number for number, name in enumerate(names)}
    t_label = truth["label"].map(code).to_numpy(np.int64)
    f_label = found["label"].map(code).to_numpy(np.int64)
    size, (n, m) = len(names), (len(truth), len(found))
    t, f, shared = _shared_seconds(truth, found)
    t_length = (truth["end_s"] - truth["begin_s"]).to_numpy(np.float64)
    f_length = (found["end_s"] - found["begin_s"]).to_numpy(np.float64)
    same = t_label[t] == f_label[f]
    inside = np.bincount(f[same], weights=shared[same], minlength=m)
    relevant = inside >= settings.dtc * f_length - _SLACK
    counted = same & relevant[f]
    covered = np.bincount(t[counted], weights=shared[counted], minlength=n)
    hit = (covered > 0) & (covered >= settings.gtc * t_length - _SLACK)
    cross = np.zeros((size, size))
    for other in range(size):
        of_other = t_label[t] == other
        within = np.bincount(f[of_other], weights=shared[of_other], minlength=m)
        is_cross = ~relevant & (f_label != other) & (within > 0)
        is_cross &= within >= settings.cttc * f_length - _SLACK
        cross[:, other] = np.bincount(f_label[is_cross], minlength=size)
    return Intersections(
        labels=tuple(names),
        n_truth=np.bincount(t_label, minlength=size).astype(np.float64),
        truth_s=np.bincount(t_label, weights=t_length, minlength=size),
        tp=np.bincount(t_label[hit], minlength=size).astype(np.float64),
        fp=np.bincount(f_label[~relevant], minlength=size).astype(np.float64),
        cross=cross,
    )


def psds(points: Sequence[Intersections], duration_s: float, settings: PsdsSettings) -> float:
    """Return the score of a detector.

    Args:
        points: Counts at each of several thresholds, with the same labels.
        duration_s: Length of all recordings.
        settings: Weights and the largest rate.
    """
    if not points:
        return 0.0
    hours = duration_s / 3600
    found = np.stack([_over(each.tp, each.n_truth) for each in points])
    alarms = np.stack([each.fp / hours for each in points])
    alarms = alarms + settings.alpha_ct * np.stack([_cross_rate(each) for each in points])
    rates = np.unique(np.concatenate([[0.0], alarms.ravel()]))
    known = np.isfinite(found).all(axis=0)
    if not known.any():
        return float("nan")
    curves = np.stack([_staircase(rates, alarms[:, i], found[:, i]) for i in np.flatnonzero(known)])
    effective = np.maximum(curves.mean(axis=0) - settings.alpha_st * curves.std(axis=0), 0.0)
    ends = np.append(rates[1:], np.inf)
    widths = np.minimum(ends, settings.max_rate) - np.minimum(rates, settings.max_rate)
    return float(np.sum(widths * effective) / settings.max_rate)


def union_by_label(events: pd.DataFrame) -> pd.DataFrame:
    """Join the events of one recording and label that touch or overlap; sorted.

    Returns:
        recording_id, label, begin_s, end_s, and is_unsure where the table has it (an unsure event
        joins no sure one).
    """
    keys = ["recording_id", "label", *(["is_unsure"] if "is_unsure" in events else [])]
    ordered = events.sort_values([*keys, "begin_s", "end_s"], ignore_index=True)
    if ordered.empty:
        return ordered[[*keys, "begin_s", "end_s"]]
    new_key = (ordered[keys] != ordered[keys].shift()).any(axis=1)
    reached = ordered.groupby(new_key.cumsum())["end_s"].cummax().shift()
    opens = new_key | (ordered["begin_s"] > reached)
    joined = ordered.groupby(opens.cumsum())
    first = {name: (name, "first") for name in (*keys, "begin_s")}
    return joined.agg(**first, end_s=("end_s", "max")).reset_index(drop=True)


def _with_length(events: pd.DataFrame) -> pd.DataFrame:
    return events[events["end_s"] > events["begin_s"]].reset_index(drop=True)


def _shared_seconds(
    truth: pd.DataFrame, found: pd.DataFrame
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]:
    """Return all pairs of events that overlap, whatever their labels, and for how long."""
    places = {name: rows.index.to_numpy() for name, rows in found.groupby("recording_id")}
    all_t, all_f = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for name, rows in truth.groupby("recording_id"):
        if name in places:
            t, f = rows.index.to_numpy(), places[name]
            pairs = overlapping_pairs(events_of(truth, t), events_of(found, f))
            all_t.append(t[pairs.truth])
            all_f.append(f[pairs.found])
    t, f = np.concatenate(all_t), np.concatenate(all_f)
    marked, detected = events_of(truth, t), events_of(found, f)
    end, begin = np.minimum(marked.end, detected.end), np.maximum(marked.begin, detected.begin)
    return t, f, end - begin


def _cross_rate(point: Intersections) -> FloatArray:
    """Return the mean rate of cross triggers an hour of the other labels' annotations."""
    if len(point.labels) < 2:
        return np.zeros(len(point.labels))
    rate = _over(point.cross * 3600, point.truth_s[None, :])
    rate = np.where(np.eye(len(point.labels), dtype=bool), np.nan, rate)
    known = np.isfinite(rate)
    sums = np.where(known, rate, 0.0).sum(axis=1)
    return np.nan_to_num(_over(sums, known.sum(axis=1)))


def _staircase(at: FloatArray, rate: FloatArray, found: FloatArray) -> FloatArray:
    """Return the best true positive rate that some point reaches at no higher rate than `at`."""
    order = np.argsort(rate, kind="stable")
    best = np.concatenate([[0.0], np.maximum.accumulate(found[order])])
    return best[np.searchsorted(rate[order], at, side="right")]


def _over(above: FloatArray, below: npt.ArrayLike) -> FloatArray:
    divisor = np.asarray(below, dtype=np.float64)
    quotient = np.full(np.broadcast(above, divisor).shape, np.nan)
    np.divide(above, divisor, out=quotient, where=divisor > 0)
    return quotient


def macro_f1(point: Intersections) -> tuple[float, Mapping[str, float]]:
    """Return the mean over labels of F1 by the intersection criterion, and that of each label.

    Hits and misses are counted in annotations, false alarms in detections.
    """
    f1 = _over(2 * point.tp, point.tp + point.fp + point.n_truth)
    known = f1[point.n_truth > 0]
    mean = float(known.mean()) if len(known) else float("nan")
    return mean, dict(zip(point.labels, f1.tolist(), strict=True))
