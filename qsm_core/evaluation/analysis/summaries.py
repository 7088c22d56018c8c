"""The tables of single systems (overall, by condition, confusion), and the table of clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.counts import GroupCounts, condition_order, is_correct
from qsm_core.evaluation.analysis.pairwise import METRICS, interval_columns
from qsm_core.evaluation.analysis.replicates import Ensemble, Replicated
from qsm_core.evaluation.predictions.table import LABELS
from qsm_core.statistics.interval import Interval
from qsm_core.statistics.proportions import wilson_interval

UNREADABLE = "unreadable"
WILSON_BY_GROUP = "Wilson score, a group as one trial"
_BY_CONDITION = {
    "ba": "condition_ba",
    "speech_acc": "condition_speech_acc",
    "nonspeech_acc": "condition_nonspeech_acc",
    "auroc": "condition_auroc",
    "d_prime": "condition_d_prime",
    "criterion": "condition_criterion",
}
_CLASSES = {"speech": "speech_acc", "nonspeech": "nonspeech_acc"}
_CLASS_OF = {"speech_acc": 0, "nonspeech_acc": 1}


def system_rows(
    ensemble: Ensemble,
    system: str,
    table: pd.DataFrame,
    statistics: Mapping[str, Replicated],
    reasons: Mapping[str, str],
    notes: Mapping[str, str],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table `systems` for one system.

    Args:
        ensemble: Where it was counted.
        system: Its name.
        table: Its predictions.
        statistics: Its statistics by name.
        reasons: Why a metric is missing, by metric.
        notes: Warnings, by metric.
    """
    counts = ensemble.counts[system]
    for metric in METRICS:
        statistic = statistics.get(metric)
        row: dict[str, Any] = {"system": system, "metric": metric}
        if statistic is None:
            yield row | {"value": np.nan, "reason": reasons.get(metric)}
            continue
        interval = ensemble.interval(statistic, reasons.get(metric))
        if metric in _CLASS_OF:
            kind = _CLASS_OF[metric]
            interval = or_wilson(interval, counts.total[:, :, kind], counts.correct[:, :, kind])
        columns = interval_columns(interval)
        if metric in notes:
            columns["note"] = "; ".join(filter(None, [columns["note"], notes[metric]]))
        yield row | {"value": float(statistic.value)} | columns
    numbers = {
        "unparseable_rate": float(table["prediction"].isna().mean()),
        "n_rows": float(len(table)),
        "n_clips": float(table["clip_id"].nunique()),
        "n_groups": float(table["group_id"].nunique()),
    }
    for metric, value in numbers.items():
        yield {"system": system, "metric": metric, "value": value, "reason": "a count"}


def condition_rows(
    ensemble: Ensemble,
    system: str,
    table: pd.DataFrame,
    statistics: Mapping[str, Replicated],
    levels: pd.DataFrame,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table `conditions`: each dimension, then each condition."""
    counts = ensemble.counts[system]
    by_condition = table["condition"].value_counts()
    by_dimension = table["dimension"].value_counts()
    unreadable = table["prediction"].isna().groupby(table["condition"]).mean()
    for key, statistic in statistics.items():
        if not key.startswith("dimension_ba."):
            continue
        dimension = key.removeprefix("dimension_ba.")
        yield {
            "system": system,
            "condition": dimension,
            "dimension": dimension,
            "metric": "ba",
            "value": float(statistic.value),
            **interval_columns(ensemble.interval(statistic)),
            "rows": int(by_dimension[dimension]),
        }
    for i, key in enumerate(ensemble.first.conditions):
        place = {
            "system": system,
            "condition": key,
            "dimension": ensemble.first.dimensions[i],
            "level": levels["level"].iloc[i],
            "rows": int(by_condition[key]),
        }
        for metric, name in _BY_CONDITION.items():
            if name not in statistics:
                continue
            in_condition = statistics[name].at(i)
            interval = ensemble.interval(in_condition)
            if metric in _CLASS_OF:
                kind = _CLASS_OF[metric]
                interval = or_wilson(
                    interval, counts.total[:, [i], kind], counts.correct[:, [i], kind]
                )
            value = float(in_condition.value)
            yield place | {"metric": metric, "value": value} | interval_columns(interval)
        yield place | {
            "metric": "unparseable_rate",
            "value": float(unreadable[key]),
            "reason": "a count",
        }


def or_wilson(interval: Interval, total: np.ndarray, correct: np.ndarray) -> Interval:
    """Give a recall of exactly 0 or 1 the Wilson interval with each group as one trial.

    Resamples of groups without an error contain no error, so the bootstrap interval has no width;
    counting groups as trials is the cautious reading of the same counts.

    Args:
        interval: The interval of the bootstrap.
        total: Rows of the class by group and condition, shape (K, C).
        correct: Right rows, the same shape.
    """
    rows, right = total.sum(), correct.sum()
    num_groups = int(np.sum(total.sum(axis=1) > 0))
    if interval.known or num_groups < 2 or right not in (0, rows):
        return interval
    wilson = wilson_interval(
        num_groups if right == rows else 0, num_groups, confidence=interval.confidence
    )
    return replace(wilson, method=WILSON_BY_GROUP)


def reasons_of(counts: GroupCounts) -> dict[str, str]:
    """Return why a metric of these counts cannot be computed, by metric."""
    reasons: dict[str, str] = {}
    total = counts.total.sum(axis=0)
    for kind, (name, metric) in enumerate(_CLASSES.items()):
        if total[:, kind].sum() == 0:
            text = f"no {name} clip in the table"
            missing = (metric, "ba_clip", "ba_conditions", "d_prime", "criterion", "auroc")
            reasons |= dict.fromkeys(missing, text)
    if reasons:
        return reasons
    lacking = [
        f"{key} has no {name} clip"
        for i, key in enumerate(counts.conditions)
        for kind, name in enumerate(_CLASSES)
        if total[i, kind] == 0 and counts.dimensions[i] is not None
    ]
    if not any(counts.dimensions):
        reasons["ba_conditions"] = "no row belongs to a dimension of the condition grid"
    elif lacking:
        reasons["ba_conditions"] = "; ".join(lacking)
    return reasons


def confusion_rows(
    system: str, table: pd.DataFrame, conditions: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table `confusion`: all rows together, then each condition."""
    answer = table["prediction"].fillna(UNREADABLE)
    by_cell = table.groupby(["condition", "label", answer]).size().to_dict()
    for condition in ("all", *conditions):
        parts = conditions if condition == "all" else (condition,)
        for label in LABELS:
            cells = {
                name: int(sum(by_cell.get((part, label, name), 0) for part in parts))
                for name in (*LABELS, UNREADABLE)
            }
            rows = sum(cells.values())
            for name, count in cells.items() if rows else ():
                yield {
                    "system": system,
                    "condition": condition,
                    "label": label,
                    "answer": name,
                    "rows": count,
                    "share": count / rows,
                }


def clip_rows(tables: Mapping[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """Return the rows of the table `clips`, hardest first: the smallest share of right rows."""
    rows = pd.concat(
        [
            table[["clip_id", "group_id", "label", "condition"]].assign(right=is_correct(table))
            for table in tables.values()
        ],
        ignore_index=True,
    )
    by_clip = rows.groupby(["clip_id", "group_id", "label"], sort=True)["right"]
    clips = by_clip.agg(rows="size", correct="sum").reset_index()
    clips["share_correct"] = clips["correct"] / clips["rows"]
    cells = rows.groupby(["clip_id", "condition"], sort=False)["right"].mean().reset_index()
    # Of equally bad conditions the first in the order of the grid, whatever the order of the rows.
    order = condition_order(next(iter(tables.values())))["condition"].to_list()
    cells["rank"] = cells["condition"].map({key: i for i, key in enumerate(order)})
    worst = cells.sort_values(["right", "rank"], kind="stable").drop_duplicates("clip_id")
    clips["worst_condition"] = clips["clip_id"].map(worst.set_index("clip_id")["condition"])
    clips = clips.sort_values(["share_correct", "clip_id"], kind="stable")
    return [{str(k): v for k, v in row.items()} for row in clips.to_dict("records")]
