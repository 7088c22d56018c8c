"""Confidence intervals of the metrics: one cluster bootstrap serves all of them.

Groups (speakers, source recordings) are resampled within their class, and all systems that are
given together get the same resamples, so that differences between them are paired.

Conventions: B: resamples, C: conditions, K: groups, M: columns of sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.counts import GroupCounts, Rates, rates_from
from qsm_core.evaluation.metrics import Metrics, compute_metrics
from qsm_core.evaluation.replicates import (
    Replicated,
    area_statistics,
    assemble,
    rate_statistics,
)
from qsm_core.evaluation.settings import BootstrapSettings
from qsm_core.seeding import derive_rng
from qsm_core.statistics.bootstrap import (
    METHOD,
    note_on_few_groups,
    percentile_interval,
    reason_to_refuse,
    resample_sums,
)
from qsm_core.statistics.interval import Interval, refused
from qsm_core.statistics.proportions import wilson_interval


@dataclass(frozen=True)
class Resampled:
    """The rates of each system in the same resamples, or the reason why there are none."""

    rates: Mapping[str, Rates]
    reason: str | None
    note: str | None

    def interval(self, values: np.ndarray, confidence: float) -> Interval:
        """Return the percentile interval of resampled values, shape (B,), with the note."""
        interval = percentile_interval(values, confidence=confidence)
        return replace(interval, note=self.note) if interval.known else interval


def metrics_with_intervals(
    predictions: pd.DataFrame,
    *,
    instruction: str | None = None,
    settings: BootstrapSettings | None = None,
) -> Metrics:
    """Compute the metrics of one system and their intervals (what metrics.json holds).

    Args:
        predictions: A predictions table as `validate` or `read_predictions` returns it.
        instruction: The text that the system was asked.
        settings: Resamples, confidence and seed; None for the defaults.

    Raises:
        DataError: The table holds no row, or more than one system or instruction.
    """
    settings = settings or BootstrapSettings()
    metrics = compute_metrics(predictions, instruction=instruction)
    name = metrics.system
    ensemble = assemble({name: predictions}, settings)
    statistics = rate_statistics(ensemble, name)
    areas = area_statistics(ensemble, predictions, ensemble.weights(), by_condition=False)
    if not isinstance(areas, str):
        statistics |= areas
    intervals = {
        path: ensemble.interval(statistic, metrics.reasons.get(path))
        for path, statistic in _by_path(statistics, ensemble.first.conditions).items()
    }
    for code, path in enumerate(("speech_acc", "nonspeech_acc")):
        counts = ensemble.counts[name]
        intervals[path] = _or_wilson(intervals[path], counts, code, settings.confidence)
    return replace(metrics, intervals=intervals)


def _by_path(
    statistics: Mapping[str, Replicated], conditions: tuple[str, ...]
) -> dict[str, Replicated]:
    """Return the statistics that metrics.json has by their path in it."""
    names = ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc", "auroc")
    paths = {name: statistics[name] for name in names if name in statistics}
    for name, statistic in statistics.items():
        if name.startswith("dimension_ba."):
            paths[f"dimension_metrics.{name.removeprefix('dimension_ba.')}.ba"] = statistic
    for i, key in enumerate(conditions):
        paths[f"condition_metrics.{key}.ba"] = statistics["condition_ba"].at(i)
    return paths


def resample(counts: Mapping[str, GroupCounts], settings: BootstrapSettings) -> Resampled:
    """Resample the groups once for all systems.

    Raises:
        DataError: The systems were not counted over the same rows.
    """
    first = next(iter(counts.values()))
    _check_same_cells(counts)
    groups = first.groups_by_stratum()
    reason = reason_to_refuse(groups)
    if reason is not None:
        return Resampled({}, reason, None)
    num_groups = len(first.groups)
    blocks = [first.total, *(one.correct for one in counts.values())]
    sums = resample_sums(
        np.concatenate([block.reshape(num_groups, -1) for block in blocks], axis=1),
        first.strata,
        num_resamples=settings.num_resamples,
        rng=derive_rng(settings.seed, "cluster bootstrap"),
    )
    total, *correct = (
        part.reshape(settings.num_resamples, len(first.conditions), 2)
        for part in np.split(sums, len(blocks), axis=1)
    )
    rates = {
        system: rates_from(total, part, first.dimensions)
        for system, part in zip(counts, correct, strict=True)
    }
    return Resampled(rates, None, note_on_few_groups(groups))


def add_intervals(
    name: str, metrics: Metrics, counts: GroupCounts, resampled: Resampled, confidence: float
) -> Metrics:
    """Return the metrics of the system called `name` in `resampled` with their intervals.

    Names are the metric's path in metrics.json: `ba_clip`, `speech_acc`,
    `dimension_metrics.snr.ba`, `condition_metrics.dur_20ms.ba`.
    """
    intervals: dict[str, Interval] = {}
    for path, samples in _values(name, metrics, resampled).items():
        if path in metrics.reasons:
            reason = metrics.reasons[path]
            intervals[path] = refused(reason, confidence=confidence, method=METHOD)
        elif samples is None:
            reason = resampled.reason or "not resampled"
            intervals[path] = refused(reason, confidence=confidence, method=METHOD)
        else:
            intervals[path] = resampled.interval(samples, confidence)
    for code, path in enumerate(("speech_acc", "nonspeech_acc")):
        intervals[path] = _or_wilson(intervals[path], counts, code, confidence)
    return replace(metrics, intervals=intervals)


def _values(system: str, metrics: Metrics, resampled: Resampled) -> dict[str, np.ndarray | None]:
    """Return the resampled values, shape (B,), of each metric that has an interval."""
    rates = resampled.rates.get(system)
    if rates is None:
        names = ["ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc"]
        names += [f"dimension_metrics.{key}.ba" for key in metrics.dimension_metrics]
        names += [f"condition_metrics.{key}.ba" for key in metrics.condition_metrics]
        return dict.fromkeys(names)
    values: dict[str, np.ndarray | None] = {
        "ba_clip": rates.ba_clip,
        "ba_conditions": rates.ba_conditions,
        "speech_acc": rates.recall[:, 0],
        "nonspeech_acc": rates.recall[:, 1],
    }
    for dimension, ba in rates.dimension_ba.items():
        values[f"dimension_metrics.{dimension}.ba"] = ba
    for column, key in enumerate(metrics.condition_metrics):
        values[f"condition_metrics.{key}.ba"] = rates.condition_ba[:, column]
    return values


def _or_wilson(interval: Interval, counts: GroupCounts, code: int, confidence: float) -> Interval:
    """Give a recall of exactly 0 or 1 the Wilson interval with each group as one trial.

    No resample of groups without an error holds an error, so the bootstrap has no width there;
    groups as trials is the cautious reading of the same counts.
    """
    total, correct = counts.total[:, :, code].sum(), counts.correct[:, :, code].sum()
    num_groups = int(np.sum(counts.total[:, :, code].sum(axis=1) > 0))
    if interval.known or num_groups < 2 or correct not in (0, total):
        return interval
    right_groups = num_groups if correct == total else 0
    wilson = wilson_interval(right_groups, num_groups, confidence=confidence)
    return replace(wilson, method="Wilson score, a group as one trial")


def _check_same_cells(counts: Mapping[str, GroupCounts]) -> None:
    """Refuse systems that were not counted over the same groups, conditions and classes."""
    names = list(counts)
    first = counts[names[0]]
    problems = [
        f"system {name!r} and system {names[0]!r} were evaluated on different clips or conditions"
        for name in names[1:]
        if counts[name].groups != first.groups
        or counts[name].conditions != first.conditions
        or not np.array_equal(counts[name].total, first.total)
    ]
    if problems:
        raise DataError("systems can only be compared on the same rows", problems)
