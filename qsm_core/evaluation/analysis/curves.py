"""Psychometric curves of a system: share right by duration and by SNR, fitted, with thresholds.

Two measures are fitted. "balanced accuracy" has a guess rate of 0.5 by definition and says how well
the classes are separated; it is the measure of the published thresholds. "speech recall" is the
yes/no curve of hits with a free guess rate; a detector that always answers SPEECH reaches every
threshold on it, so the false-alarm rate of each level is shown with it.

Durations are fitted on log10 of ms, SNRs in dB. Of durations crossed with SNRs, the durations at
each SNR are a curve of their own, and the SNRs at each duration.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.conditions.grid import Condition, Dimension
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated
from qsm_core.statistics.psychometric import Bounds, Fits, deviance, fit
from qsm_core.statistics.thresholds import Threshold, crossings, threshold_of

FloatArray = npt.NDArray[np.float64]

BALANCED, RECALL = "balanced accuracy", "speech recall"
MEASURES = (BALANCED, RECALL)
CHANCE = 0.5
_BAND_POINTS = 60
_BOUNDS = {
    BALANCED: Bounds(guess=(CHANCE, CHANCE), lapse=(0.0, CHANCE)),
    RECALL: Bounds(guess=(0.0, 0.95), lapse=(0.0, 0.95)),
}
_FEWEST_LEVELS = {BALANCED: 3, RECALL: 4}  # as many as there are free parameters


@dataclass(frozen=True)
class Axis:
    """A dimension with a physical scale.

    Attributes:
        dimension: Name of the dimension.
        column: Column of the level in the predictions.
        unit: Of the level.
        name: What its thresholds are called: DT75, SNR75.
        at: The condition that stays while the level changes, of crossed conditions: `snr_0dB`.
    """

    dimension: str
    column: str
    unit: str
    name: str
    at: str | None = None

    @property
    def place(self) -> str:
        """The dimension as tables name it: `duration`, or `duration at snr_0dB`."""
        return self.dimension if self.at is None else f"{self.dimension} at {self.at}"

    def x(self, level: npt.ArrayLike) -> FloatArray:
        """Return levels in the units of the fit."""
        values = np.asarray(level, dtype=np.float64)
        return np.log10(values) if self.unit == "ms" else values

    def level(self, x: npt.ArrayLike) -> FloatArray:
        """Return levels in their own unit; infinite ones stay infinite, or become 0 ms."""
        values = np.asarray(x, dtype=np.float64)
        return np.power(10.0, values) if self.unit == "ms" else values


AXES = (
    Axis(Dimension.DURATION.value, "duration_ms", "ms", "DT"),
    Axis(Dimension.SNR.value, "snr_db", "dB", "SNR"),
)


@dataclass(frozen=True)
class Curve:
    """One fitted curve.

    Attributes:
        axis: The dimension.
        measure: One of `MEASURES`.
        levels: Tested levels in their unit, ascending, shape (L,).
        columns: Which conditions these are, shape (L,).
        share: Measured shares with their replicates, shape (L,).
        false_alarms: Share of non-speech rows answered wrongly, shape (L,).
        rows: Rows of the measure, shape (L,).
        fit: The fitted function; None where it cannot be fitted.
        resampled: Fits of the resamples; None where there are none.
        deviance: Of the fit; a binomial model without clusters has about L minus its parameters.
        reason: Why there is no fit.
    """

    axis: Axis
    measure: str
    levels: FloatArray
    columns: tuple[int, ...]
    share: Replicated
    false_alarms: FloatArray
    rows: FloatArray
    fit: Fits | None
    resampled: Fits | None
    deviance: float
    reason: str | None

    @property
    def x(self) -> FloatArray:
        """The levels in the units of the fit."""
        return self.axis.x(self.levels)

    def crossings(self, target: float) -> tuple[float, FloatArray | None]:
        """Return where the fit passes a target, and the same for the resamples."""
        ends = {"lowest": float(self.x[0]), "highest": float(self.x[-1])}
        if self.fit is None:
            return np.nan, None
        value = float(crossings(self.fit.parameters, target, **ends)[0])
        if self.resampled is None:
            return value, None
        return value, crossings(self.resampled.parameters, target, **ends)

    def threshold(self, target: float, ensemble: Ensemble) -> Threshold:
        """Return a threshold in the units of the fit."""
        value, resampled = self.crossings(target)
        return threshold_of(
            value,
            resampled,
            target=target,
            chance=CHANCE if self.measure == BALANCED else None,
            lowest=float(self.x[0]),
            highest=float(self.x[-1]),
            confidence=ensemble.settings.confidence,
            tail=None if ensemble.reason else ensemble.tail,
            reason=ensemble.reason,
        )

    def band(self, ensemble: Ensemble) -> pd.DataFrame:
        """Return x, fit, low and high on a fine grid of tested levels."""
        grid = np.linspace(self.x[0], self.x[-1], _BAND_POINTS)
        if self.fit is None:
            return pd.DataFrame({"x": [], "fit": [], "low": [], "high": []})
        table = pd.DataFrame(
            {"x": grid, "fit": self.fit.at(grid)[0], "low": np.nan, "high": np.nan}
        )
        if self.resampled is not None:
            tail = ensemble.tail
            ends = np.quantile(self.resampled.at(grid), [tail, 1 - tail], axis=0)
            table["low"], table["high"] = ends
        return table


def curves_of(ensemble: Ensemble, system: str, levels: pd.DataFrame) -> Iterator[Curve]:
    """Yield the curves of a system: each axis with 3 levels or more, each measure.

    Args:
        ensemble: Where the system was counted.
        system: Its name.
        levels: The conditions in order with the columns of `condition_order`.
    """
    for axis, conditions in [*_single(levels), *_crossed(levels)]:
        conditions = conditions.sort_values(axis.column, kind="stable")
        if len(conditions) < min(_FEWEST_LEVELS.values()):
            continue
        for measure in MEASURES:
            yield _curve(ensemble, system, axis, measure, conditions)


def _single(levels: pd.DataFrame) -> Iterator[tuple[Axis, pd.DataFrame]]:
    for axis in AXES:
        yield axis, levels[(levels["dimension"] == axis.dimension) & levels[axis.column].notna()]


def _crossed(levels: pd.DataFrame) -> Iterator[tuple[Axis, pd.DataFrame]]:
    """Yield the curves along one dimension at each level of the other."""
    both = levels[(levels["dimension"] == Dimension.CROSSED.value)]
    both = both[both["duration_ms"].notna() & both["snr_db"].notna()]
    both = both[both["t60_s"].isna() & both["band"].isna()]
    for axis, other in zip(AXES, reversed(AXES), strict=True):
        for level, rows in both.groupby(other.column, sort=True):
            at = Condition(Dimension(other.dimension), float(str(level))).key
            yield replace(axis, at=at), rows


def _curve(
    ensemble: Ensemble, system: str, axis: Axis, measure: str, conditions: pd.DataFrame
) -> Curve:
    columns = conditions.index.to_numpy()
    total, correct = ensemble.total, ensemble.correct[system]
    share = total.map(
        correct, by=lambda n, r: _share(n[..., columns, :], r[..., columns, :], measure)
    )
    rows = total.map(by=lambda n: _rows(n[..., columns, :], measure))
    inside = total.all[columns]
    alarms = 1 - _ratio(correct.all[columns, 1], inside[:, 1])
    levels = conditions[axis.column].to_numpy(dtype=np.float64)
    reason = None
    if len(levels) < _FEWEST_LEVELS[measure]:
        reason = f"{len(levels)} levels; {measure} needs {_FEWEST_LEVELS[measure]}"
    elif not np.all(np.isfinite(share.value)):
        reason = "a level lacks a class"
    fitted = drawn = None
    misfit = np.nan
    if reason is None:
        x, bounds = axis.x(levels), _BOUNDS[measure]
        right = share.value * rows.value
        fitted = fit(x, right, rows.value, bounds=bounds)
        misfit = float(deviance(fitted, right, rows.value)[0])
        if share.resampled is not None and rows.resampled is not None:
            # A resample without one class at a level has no share there: the level gets no weight.
            known = np.where(np.isfinite(share.resampled), rows.resampled, 0.0)
            drawn = fit(
                x,
                np.nan_to_num(share.resampled) * known,
                known,
                bounds=bounds,
                start=fitted.parameters[0],
            )
    return Curve(
        axis=axis,
        measure=measure,
        levels=levels,
        columns=tuple(int(i) for i in columns),
        share=share,
        false_alarms=alarms,
        rows=rows.value,
        fit=fitted,
        resampled=drawn,
        deviance=misfit,
        reason=reason,
    )


def _share(total: FloatArray, right: FloatArray, measure: str) -> FloatArray:
    recall = _ratio(right, total)
    return recall[..., 0] if measure == RECALL else recall.mean(axis=-1)


def _rows(total: FloatArray, measure: str) -> FloatArray:
    return total[..., 0] if measure == RECALL else total.sum(axis=-1)


def _ratio(right: FloatArray, total: FloatArray) -> FloatArray:
    ratio = np.full(total.shape, np.nan)
    np.divide(right, total, out=ratio, where=total > 0)
    return ratio
