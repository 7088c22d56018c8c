"""Precision, recall and F1 from counts, and what else a matching tells.

With T annotations, D detections and H hits: precision = H / D, recall = H / T, F1 = 2 H / (T + D).
Where nothing was annotated recall is undefined (NaN); where nothing was detected precision is 0,
and where there was neither it is undefined too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from qsm_core.detection.metrics.counting import Comparison

FloatArray = npt.NDArray[np.float64]


class Rates(NamedTuple):
    """Precision, recall and F1; arrays of one shape, or numbers."""

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray


def rates(hits: npt.ArrayLike, truth: npt.ArrayLike, found: npt.ArrayLike) -> Rates:
    """Return the rates of hits among annotations and detections, element by element."""
    h, t, d = (np.asarray(each, dtype=np.float64) for each in (hits, truth, found))
    precision = np.where(d > 0, _over(h, d), np.where(t > 0, 0.0, np.nan))
    recall = np.where(t > 0, _over(h, t), np.nan)
    f1 = np.where(t + d > 0, _over(2 * h, t + d), np.nan)
    return Rates(precision, recall, f1)


def summary(compared: Comparison) -> dict[str, float]:
    """Return counts and rates over all recordings and labels, and the errors of the boundaries.

    n_truth, n_found, tp, fp, fn, ignored; precision, recall, f1; onset_error_ms and
    offset_error_ms, the mean absolute errors of the hits; onset_bias_ms and offset_bias_ms, the
    mean errors (negative: too early). NaN where undefined.
    """
    sums = compared.counts.drop(columns=["recording_id", "label"]).sum()
    values = {name: float(value) for name, value in sums.items()}
    found = rates(sums["tp"], sums["n_truth"], sums["n_found"])
    values |= {name: float(value) for name, value in found._asdict().items()}
    return values | boundary_errors(compared.pairs)


def boundary_errors(pairs: pd.DataFrame) -> dict[str, float]:
    """Return mean absolute error and bias of begins and ends, in ms."""
    values = {}
    for name in ("onset", "offset"):
        errors = 1000 * pairs[f"{name}_error_s"].to_numpy(np.float64)
        values[f"{name}_error_ms"] = float(np.abs(errors).mean()) if len(errors) else np.nan
        values[f"{name}_bias_ms"] = float(errors.mean()) if len(errors) else np.nan
    return values


def recall_by_quality(truth: pd.DataFrame, compared: Comparison) -> pd.DataFrame:
    """Return recall for each quality that annotations have: quality, n_truth, tp, recall.

    A detection has no quality, so that precision and F1 by quality do not exist.
    """
    hit = np.zeros(len(truth), dtype=bool)
    hit[compared.pairs["truth"].to_numpy()] = True
    asked = truth.assign(tp=hit)[~truth["is_unsure"] & truth["quality"].notna()]
    table = asked.groupby("quality")["tp"].agg(n_truth="size", tp="sum").reset_index()
    return table.assign(recall=rates(table["tp"], table["n_truth"], table["n_truth"]).recall)


def by_recording(counts: pd.DataFrame, durations_s: Mapping[str, float]) -> pd.DataFrame:
    """Return one row a recording: counts over all labels, rates, detections an hour.

    Args:
        counts: Of a comparison.
        durations_s: Length of each recording; where one is missing its detections an hour are NaN.
    """
    table = counts.drop(columns="label").groupby("recording_id", as_index=False).sum()
    found = rates(table["tp"], table["n_truth"], table["n_found"])
    hours = table["recording_id"].map(dict(durations_s)).astype("float64") / 3600
    each = table.assign(**found._asdict())
    return each.assign(
        detections_per_hour=_over(each["n_found"].to_numpy(np.float64), hours.to_numpy())
    )


def count_correlations(table: pd.DataFrame) -> dict[str, float]:
    """Return how well the number of detections follows that of annotations over recordings.

    Pearson's and Spearman's coefficients of the columns n_truth and n_found; NaN for fewer than
    three recordings, or where one of the numbers is the same everywhere.
    """
    truth = table["n_truth"].to_numpy(np.float64)
    found = table["n_found"].to_numpy(np.float64)
    if len(table) < 3 or np.ptp(truth) == 0 or np.ptp(found) == 0:
        return {"pearson": np.nan, "spearman": np.nan}
    return {
        "pearson": float(stats.pearsonr(truth, found).statistic),
        "spearman": float(stats.spearmanr(truth, found).statistic),
    }


def _over(above: FloatArray, below: FloatArray) -> FloatArray:
    quotient = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=quotient, where=np.asarray(below) > 0)
    return quotient
