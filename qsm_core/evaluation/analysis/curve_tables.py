"""The tables about psychometric curves: points, fits, bands, thresholds and their differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qsm_core.evaluation.analysis.curves import BALANCED, CHANCE, Curve
from qsm_core.evaluation.analysis.pairwise import interval_columns
from qsm_core.evaluation.analysis.replicates import Ensemble
from qsm_core.evaluation.analysis.settings import Pair
from qsm_core.statistics.interval import Interval, refused
from qsm_core.statistics.psychometric import GUESS, LAPSE, LOCATION, LOG_SLOPE
from qsm_core.statistics.thresholds import METHOD, interval_of

_MOST_UNDEFINED = 0.01


def point_rows(ensemble: Ensemble, system: str, curve: Curve) -> Iterator[dict[str, Any]]:
    """Yield the measured points of a curve."""
    for i, level in enumerate(curve.levels):
        yield _place(system, curve, level, curve.x[i]) | {
            "share": float(curve.share.value[i]),
            **interval_columns(ensemble.interval(curve.share.at(i))),
            "rows": int(curve.rows[i]),
            "false_alarms": float(curve.false_alarms[i]),
        }


def fit_row(system: str, curve: Curve) -> dict[str, Any]:
    """Return the fitted parameters of a curve."""
    row: dict[str, Any] = {
        "system": system,
        "dimension": curve.axis.place,
        "measure": curve.measure,
        "reason": curve.reason,
    }
    if curve.fit is None:
        return row
    parameters = curve.fit.parameters[0]
    residuals = curve.share.value - curve.fit.at(curve.x)[0]
    return row | {
        "guess": float(parameters[GUESS]),
        "lapse": float(parameters[LAPSE]),
        "location": float(parameters[LOCATION]),
        "slope": float(np.exp(parameters[LOG_SLOPE])),
        "deviance": curve.deviance,
        "largest_residual": float(np.max(np.abs(residuals))),
    }


def band_rows(ensemble: Ensemble, system: str, curve: Curve) -> Iterator[dict[str, Any]]:
    """Yield the fitted curve and its band on a fine grid."""
    band = curve.band(ensemble)
    for x, fitted, low, high in band.itertuples(index=False):
        ends = {"fit": float(fitted), "low": float(low), "high": float(high)}
        yield _place(system, curve, curve.axis.level(x), x) | ends


def threshold_rows(
    ensemble: Ensemble, system: str, curve: Curve, targets: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """Yield the thresholds of a curve, in the unit of its levels."""
    for target in targets:
        threshold = curve.threshold(target, ensemble)
        columns = interval_columns(threshold.interval)
        columns["low"], columns["high"] = (
            float(curve.axis.level(columns[end])) for end in ("low", "high")
        )
        yield {
            "system": system,
            "threshold": _name(curve, target),
            "dimension": curve.axis.place,
            "measure": curve.measure,
            "unit": curve.axis.unit,
            "target": target,
            "outcome": threshold.outcome.value if curve.fit is not None else "undefined",
            "value": float(curve.axis.level(threshold.value)),
            **columns,
            "reason": columns["reason"] or curve.reason,
            "share_reached": threshold.share_reached,
        }


def difference_rows(
    ensemble: Ensemble,
    pair: Pair,
    curves: Mapping[str, Sequence[Curve]],
    targets: Sequence[float],
) -> Iterator[dict[str, Any]]:
    """Yield the differences of thresholds that both systems of a pair have."""
    seconds = {(c.axis.name, c.axis.at, c.measure): c for c in curves[pair.second]}
    for first in curves[pair.first]:
        second = seconds.get((first.axis.name, first.axis.at, first.measure))
        if second is None:
            continue
        for target in targets:
            if first.measure == BALANCED and target <= CHANCE:
                continue
            yield _difference(ensemble, pair, first, second, target)


def _difference(
    ensemble: Ensemble, pair: Pair, first: Curve, second: Curve, target: float
) -> dict[str, Any]:
    (before, drawn_before), (after, drawn_after) = (
        curve.crossings(target) for curve in (first, second)
    )
    axis = first.axis
    row: dict[str, Any] = {
        "first": pair.first,
        "second": pair.second,
        "threshold": _name(first, target),
        "measure": first.measure,
        "unit": axis.unit,
    }
    confidence = ensemble.settings.confidence
    if not np.isfinite(before) or not np.isfinite(after):
        missing = refused(
            "not both systems have the threshold", confidence=confidence, method=METHOD
        )
        return row | interval_columns(missing)
    value = float(axis.level(after) - axis.level(before))
    row["value"] = value
    if axis.unit == "ms":
        row["ratio"] = float(axis.level(after) / axis.level(before))
    if drawn_before is None or drawn_after is None:
        reason = ensemble.reason or "not resampled"
        return row | interval_columns(refused(reason, confidence=confidence, method=METHOD))
    with np.errstate(invalid="ignore"):
        drawn = axis.level(drawn_after) - axis.level(drawn_before)
    return row | interval_columns(_interval(drawn, confidence, ensemble.tail))


def _interval(drawn: Any, confidence: float, tail: float) -> Interval:
    undefined = float(np.mean(np.isnan(drawn)))
    if undefined > _MOST_UNDEFINED:
        reason = f"neither system reaches it in {100 * undefined:.1f} % of the resamples"
        return refused(reason, confidence=confidence, method=METHOD)
    interval = interval_of(drawn[~np.isnan(drawn)], confidence, tail)
    if interval.note is None:
        return interval
    return Interval(
        interval.low,
        interval.high,
        confidence,
        METHOD,
        note="only one system reaches it in some resamples",
    )


def _place(system: str, curve: Curve, level: Any, x: Any) -> dict[str, Any]:
    return {
        "system": system,
        "dimension": curve.axis.place,
        "measure": curve.measure,
        "level": float(level),
        "x": float(x),
    }


def _name(curve: Curve, target: float) -> str:
    at = "" if curve.axis.at is None else f" at {curve.axis.at}"
    return f"{curve.axis.name}{100 * target:g}{at}"
