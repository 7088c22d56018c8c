"""Calibration of a system's probabilities on test: as they are, and with a temperature from dev.

The confidence of an answer is the probability of the class that is the more probable one: the mean
over right answers, that over wrong ones, and their gap say whether a system knows when it errs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.evaluation.analysis.pairwise import interval_columns
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated, in_units
from qsm_core.evaluation.analysis.scores import RowScores, scores_of
from qsm_core.labels import Label
from qsm_core.statistics.calibration import (
    adaptive_bins,
    brier_scores,
    calibration_error,
    fit_temperature,
    log_losses,
    reliability,
    with_temperature,
)
from qsm_core.statistics.proportions import wilson_interval

FloatArray = npt.NDArray[np.float64]

_EVEN = 0.5
RAW, TEMPERATURE = "raw", "temperature"


@dataclass(frozen=True)
class CalibrationTables:
    """Rows of the tables `calibration` and `reliability`."""

    calibration: list[dict[str, Any]]
    reliability: list[dict[str, Any]]


def calibrate(
    ensemble: Ensemble, system: str, table: pd.DataFrame, dev: pd.DataFrame | None, num_bins: int
) -> CalibrationTables:
    """Measure the calibration of one system.

    Args:
        ensemble: Where the system was counted.
        system: Its name.
        table: Its predictions on test.
        dev: Its predictions on dev, where a temperature is fitted; None without.
        num_bins: Bins of the reliability diagram.
    """
    tables = CalibrationTables([], [])
    scores = scores_of(table)
    if isinstance(scores, str):
        return tables
    positive = _is_speech(table)
    _measure(tables, ensemble, system, RAW, table, scores.logits, _raw(table, scores), num_bins)
    on_dev = None if dev is None else scores_of(dev, scores.column)
    if dev is None or on_dev is None or isinstance(on_dev, str):
        return tables
    if _is_speech(dev).all() or not _is_speech(dev).any() or positive.all():
        return tables
    temperature = fit_temperature(on_dev.logits, _is_speech(dev))
    scaled = with_temperature(scores.logits, temperature)
    _measure(
        tables, ensemble, system, TEMPERATURE, table, scores.logits / temperature, scaled, num_bins
    )
    tables.calibration.append(
        {
            "system": system,
            "variant": TEMPERATURE,
            "metric": "temperature",
            "value": temperature,
            "reason": "fitted on dev; it has no interval",
        }
    )
    return tables


def _raw(table: pd.DataFrame, scores: RowScores) -> FloatArray:
    """Return the probabilities that the system gives, or else those of its margins."""
    if table["p_speech"].notna().all():
        return table["p_speech"].to_numpy(dtype=np.float64)
    return with_temperature(scores.logits, 1.0)


def _is_speech(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = (table["label"] == Label.SPEECH.value).to_numpy(dtype=bool)
    return mask


def _measure(
    tables: CalibrationTables,
    ensemble: Ensemble,
    system: str,
    variant: str,
    table: pd.DataFrame,
    logits: FloatArray,
    p: FloatArray,
    num_bins: int,
) -> None:
    positive = _is_speech(table)
    bins = adaptive_bins(p, num_bins)
    units = in_units(table, ensemble.settings)["group_id"].astype(str)
    codes = pd.Index(ensemble.first.groups).get_indexer(pd.Index(units))
    sums = _group_sums(codes, bins, p, positive, log_losses(logits, positive), ensemble)
    for name, statistic in _statistics(ensemble, sums, int(bins.max()) + 1).items():
        row = {"system": system, "variant": variant, "metric": name}
        tables.calibration.append(
            row | {"value": float(statistic.value)} | interval_columns(ensemble.interval(statistic))
        )
    points = reliability(p, positive, bins)
    for i, rows in enumerate(points.rows):
        share = wilson_interval(round(points.share_positive[i] * rows), int(rows))
        tables.reliability.append(
            {
                "system": system,
                "variant": variant,
                "bin": i + 1,
                "p_low": points.lowest[i],
                "p_high": points.highest[i],
                "mean_p": points.mean_p[i],
                "share_speech": points.share_positive[i],
                "low": share.low,
                "high": share.high,
                "rows": int(rows),
            }
        )


def _group_sums(
    codes: npt.NDArray[np.integer],
    bins: npt.NDArray[np.int64],
    p: FloatArray,
    positive: npt.NDArray[np.bool_],
    losses: FloatArray,
    ensemble: Ensemble,
) -> FloatArray:
    """Return sums by group: p, positives and rows of each bin, then those of all rows.

    The last six are confidence and count of right rows, the same of wrong rows, Brier and log loss.
    """
    num_groups, num_bins = len(ensemble.strata), int(bins.max()) + 1
    cell = codes * num_bins + bins
    by_bin = [
        np.bincount(cell, weights=values, minlength=num_groups * num_bins).reshape(num_groups, -1)
        for values in (p, positive.astype(np.float64), np.ones(len(p)))
    ]
    confidence = np.maximum(p, 1 - p)
    right = ((p >= _EVEN) == positive).astype(np.float64)
    of_rows = (
        *(confidence * right, right, confidence * (1 - right), 1 - right),
        *(brier_scores(p, positive), losses),
    )
    by_group = [
        np.bincount(codes, weights=values, minlength=num_groups)[:, None] for values in of_rows
    ]
    return np.concatenate([*by_bin, *by_group], axis=1)


def _statistics(ensemble: Ensemble, sums: FloatArray, num_bins: int) -> dict[str, Replicated]:
    drawn = ensemble.resample(sums)
    whole = sums.sum(axis=0)
    parts = [_values(part, num_bins) for part in (whole, drawn, whole - sums) if part is not None]
    if drawn is None:
        return {name: Replicated(value) for name, value in parts[0].items()}
    return {name: Replicated(parts[0][name], parts[1][name], parts[2][name]) for name in parts[0]}


def _values(sums: FloatArray, num_bins: int) -> dict[str, FloatArray]:
    sum_p, sum_positive, rows = (sums[..., i * num_bins : (i + 1) * num_bins] for i in range(3))
    count = rows.sum(axis=-1)
    count = np.where(count > 0, count, np.nan)  # without the only group no row is left
    of_right, of_wrong = (
        sums[..., at] / np.where(sums[..., at + 1] > 0, sums[..., at + 1], np.nan)
        for at in (-6, -4)
    )
    return {
        "ece": calibration_error(sum_p, sum_positive, rows),
        "brier": sums[..., -2] / count,
        "log_loss": sums[..., -1] / count,
        "confidence_right": of_right,
        "confidence_wrong": of_wrong,
        "confidence_gap": of_right - of_wrong,
    }
