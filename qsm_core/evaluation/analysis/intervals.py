"""Confidence intervals of the metrics of one system: one cluster bootstrap serves all of them.

Groups (speakers, source recordings) are resampled within their class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.metrics import Metrics, compute_metrics
from qsm_core.evaluation.analysis.replicates import (
    Replicated,
    area_statistics,
    assemble,
    rate_statistics,
)
from qsm_core.evaluation.analysis.summaries import or_wilson


def metrics_with_intervals(
    predictions: pd.DataFrame,
    *,
    instruction: str | None = None,
    settings: BootstrapSettings | None = None,
) -> Metrics:
    """Compute the metrics of one system and their intervals (what metrics.json holds).

    Args:
        predictions: A predictions table as `validate` or `read_predictions` returns it.
        instruction: The instruction of the system.
        settings: Resamples, confidence and seed; None for the defaults.

    Raises:
        DataError: The table holds no row, or more than one system or instruction.
    """
    settings = settings or BootstrapSettings()
    metrics = compute_metrics(predictions, instruction=instruction)
    name = metrics.system
    ensemble = assemble({name: predictions}, settings)
    statistics = rate_statistics(ensemble, name)
    areas = area_statistics(ensemble, predictions, by_condition=False)
    if not isinstance(areas, str):
        statistics |= areas
    intervals = {
        path: ensemble.interval(statistic, metrics.reasons.get(path))
        for path, statistic in _by_path(statistics, ensemble.first.conditions).items()
    }
    counts = ensemble.counts[name]
    for code, path in enumerate(("speech_acc", "nonspeech_acc")):
        rows, right = counts.total[:, :, code], counts.correct[:, :, code]
        intervals[path] = or_wilson(intervals[path], rows, right)
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
