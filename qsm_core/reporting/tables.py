"""The tables of the report as data frames: rates are shares from 0 to 1, unknown is NaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.comparison import Comparison, Difference
from qsm_core.evaluation.counts import condition_order
from qsm_core.evaluation.metrics import Metrics
from qsm_core.reporting.results import Results
from qsm_core.statistics.interval import Interval

_LEVELS = ("duration_ms", "snr_db", "t60_s", "band")


def results_table(results: Results) -> pd.DataFrame:
    """Return one row a system: rates, intervals, and the paired difference to the base model."""
    rows = []
    for name, metrics in results.metrics.items():
        row: dict[str, Any] = {"system": name, "title": results.titles[name]}
        for metric in ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc"):
            row |= _with_ends(metric, getattr(metrics, metric), metrics.intervals.get(metric))
        row |= {"auroc": metrics.auroc, "unparseable_rate": metrics.unparseable_rate}
        row |= {"n_samples": metrics.n_samples, "n_clips": metrics.n_clips}
        row |= {"n_groups": metrics.n_groups}
        against = results.against_reference(name)
        row |= _difference("difference", against.ba_clip if against else None)
        rows.append(row)
    return pd.DataFrame(rows)


def comparisons_table(results: Results) -> pd.DataFrame:
    """Return one row a comparison; differences are second minus first."""
    return pd.DataFrame([_comparison_row(one, results.titles) for one in results.comparisons])


def conditions_table(results: Results, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return one row a system x condition, in the order of the grid.

    Args:
        results: Metrics with intervals.
        predictions: The table of any of the systems, for the levels of the conditions.
    """
    levels = condition_order(predictions).set_index("condition")
    rows = []
    for name, metrics in results.metrics.items():
        for key, one in metrics.condition_metrics.items():
            row: dict[str, Any] = {"system": name, "condition": key, "dimension": one.dimension}
            row |= {level: levels.loc[key, level] for level in _LEVELS}
            row |= _with_ends("ba", one.ba, metrics.intervals.get(f"condition_metrics.{key}.ba"))
            row |= {"speech_acc": one.speech_acc, "nonspeech_acc": one.nonspeech_acc}
            row |= {"n_samples": one.n_samples, "unparseable_rate": one.unparseable_rate}
            rows.append(row)
    return pd.DataFrame(rows)


def dimensions_table(results: Results) -> pd.DataFrame:
    """Return one row a system x dimension."""
    rows = []
    for name, metrics in results.metrics.items():
        for key, one in metrics.dimension_metrics.items():
            interval = metrics.intervals.get(f"dimension_metrics.{key}.ba")
            row = {"system": name, "dimension": key, **_with_ends("ba", one.ba, interval)}
            rows.append(row | {"n_conditions": one.n_conditions})
    return pd.DataFrame(rows)


def unavailable(metrics: Metrics) -> dict[str, str]:
    """Say why numbers or intervals of the results table are missing, by metric."""
    reasons = dict(metrics.reasons)
    for name, interval in metrics.intervals.items():
        if interval.reason is not None and "." not in name:
            reasons.setdefault(name, interval.reason)
    return reasons


def flat_table(values: Mapping[str, Any]) -> pd.DataFrame:
    """Return nested JSON values as rows of name and value, names joined by dots."""
    rows: list[dict[str, Any]] = []

    def add(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                add(f"{name}.{key}" if name else str(key), item)
        elif isinstance(value, list | tuple):
            if all(not isinstance(item, Mapping | list | tuple) for item in value):
                rows.append({"name": name, "value": ", ".join(map(str, value))})
            else:
                for number, item in enumerate(value):
                    add(f"{name}.{number}", item)
        else:
            rows.append({"name": name, "value": value})

    add("", values)
    return pd.DataFrame(rows, columns=["name", "value"])


def _with_ends(name: str, value: float, interval: Interval | None) -> dict[str, float]:
    low = interval.low if interval else None
    high = interval.high if interval else None
    return {
        name: value,
        f"{name}_low": np.nan if low is None else low,
        f"{name}_high": np.nan if high is None else high,
    }


def _difference(name: str, one: Difference | None) -> dict[str, float]:
    if one is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high", "p_value", "p_holm"), np.nan)
    ends = _with_ends(name, one.value, one.interval)
    return ends | {"p_value": one.p_value, "p_holm": one.p_holm}


def _comparison_row(one: Comparison, titles: Mapping[str, str]) -> dict[str, Any]:
    conditions = {
        f"conditions_{key}": value
        for key, value in _difference("difference", one.ba_conditions).items()
    }
    return {
        "first": one.first,
        "second": one.second,
        "title": f"{titles[one.second]} against {titles[one.first]}",
        **_difference("difference", one.ba_clip),
        **conditions,
        "only_first": one.only_first,
        "only_second": one.only_second,
    }
