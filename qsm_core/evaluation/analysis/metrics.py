"""The metrics of one system on one predictions table.

Balanced accuracy over clips (`ba_clip`) is the mean of the two recalls over all rows; over
conditions (`ba_conditions`) it is the mean over the dimensions' balanced accuracies, each the
mean over its conditions. A prediction that is null is an error of its clip's class and part of
`unparseable_rate`. What cannot be computed is NaN (null in JSON) and `reasons` says why.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.counts import GroupCounts, Rates, count_by_group, rates_from
from qsm_core.json_values import to_json_values
from qsm_core.labels import Label
from qsm_core.statistics.interval import Interval

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class ConditionMetrics:
    """One condition: recalls, balanced accuracy and counts of rows."""

    dimension: str | None
    ba: float
    speech_acc: float
    nonspeech_acc: float
    n_samples: int
    n_speech: int
    n_nonspeech: int
    unparseable_rate: float


@dataclass(frozen=True)
class DimensionMetrics:
    """One dimension: the mean balanced accuracy over its conditions."""

    ba: float
    n_conditions: int
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Metrics:
    """All metrics of one system; `intervals` is filled by `evaluation.intervals`."""

    system: str
    instruction: str | None
    instruction_digest: str
    ba_clip: float
    ba_conditions: float
    speech_acc: float
    nonspeech_acc: float
    auroc: float
    unparseable_rate: float
    n_samples: int
    n_speech: int
    n_nonspeech: int
    n_clips: int
    n_groups: int
    dimension_metrics: Mapping[str, DimensionMetrics]
    condition_metrics: Mapping[str, ConditionMetrics]
    reasons: Mapping[str, str]
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Return the metrics as JSON values; NaN becomes null."""
        values = {name: value for name, value in vars(self).items() if name != "intervals"}
        values["dimension_metrics"] = {k: vars(v) for k, v in self.dimension_metrics.items()}
        values["condition_metrics"] = {k: vars(v) for k, v in self.condition_metrics.items()}
        values["intervals"] = {name: i.to_json() for name, i in self.intervals.items()}
        json_values: JsonObject = to_json_values(values)
        return json_values


def compute_metrics(predictions: pd.DataFrame, *, instruction: str | None = None) -> Metrics:
    """Compute the metrics of one system, without intervals (fast: a few milliseconds).

    Args:
        predictions: A predictions table as `validate` or `read_predictions` returns it.
        instruction: The instruction of the system, for metrics.json.

    Raises:
        DataError: The table has no row, or the rows of more than one system or instruction.
    """
    system, digest = single_system(predictions)
    counts = count_by_group(predictions)
    total, correct = counts.total.sum(axis=0), counts.correct.sum(axis=0)
    rates = rates_from(total, correct, counts.dimensions)
    area, area_reason = _auroc(predictions)
    n_speech, n_nonspeech = (int(n) for n in total.sum(axis=0))
    return Metrics(
        system=system,
        instruction=instruction,
        instruction_digest=digest,
        ba_clip=float(rates.ba_clip),
        ba_conditions=float(rates.ba_conditions),
        speech_acc=float(rates.recall[0]),
        nonspeech_acc=float(rates.recall[1]),
        auroc=area,
        unparseable_rate=float(predictions["prediction"].isna().mean()),
        n_samples=n_speech + n_nonspeech,
        n_speech=n_speech,
        n_nonspeech=n_nonspeech,
        n_clips=int(predictions["clip_id"].nunique()),
        n_groups=len(counts.groups),
        dimension_metrics=_dimension_metrics(counts, rates),
        condition_metrics=_condition_metrics(counts, rates, predictions),
        reasons=_reasons(counts) | ({"auroc": area_reason} if area_reason else {}),
    )


def write_metrics(path: Path, metrics: Metrics) -> None:
    """Write metrics.json; equal metrics give equal bytes."""
    text = json.dumps(metrics.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def single_system(predictions: pd.DataFrame) -> tuple[str, str]:
    """Return the only system and instruction digest of a table.

    Raises:
        DataError: The table has none or several.
    """
    pairs = predictions[["system", "instruction_digest"]].drop_duplicates()
    if len(pairs) != 1:
        found = [f"system {s!r} with instruction {d!r}" for s, d in pairs.itertuples(index=False)]
        raise DataError(
            f"metrics are of one system with one instruction; the table has {len(pairs)}",
            found or ["no rows"],
        )
    return str(pairs.iloc[0, 0]), str(pairs.iloc[0, 1])


def _auroc(predictions: pd.DataFrame) -> tuple[float, str | None]:
    """Return the area under the ROC curve, or NaN and the reason why there is none."""
    # Imported here: scikit-learn takes longer to import than all else in this module.
    from sklearn.metrics import roc_auc_score

    for column in ("margin", "p_speech"):
        scored = predictions[column].notna()
        if scored.all():
            is_speech = predictions["label"] == Label.SPEECH.value
            if is_speech.nunique() < 2:
                return math.nan, "only one class is present"
            return float(roc_auc_score(is_speech, predictions[column])), None
    missing = int((predictions["margin"].isna() & predictions["p_speech"].isna()).sum())
    if missing == len(predictions):
        return math.nan, "the system gives no score"
    return math.nan, f"neither margin nor p_speech is there for every row ({missing} have none)"


def _dimension_metrics(counts: GroupCounts, rates: Rates) -> dict[str, DimensionMetrics]:
    result = {}
    for dimension, ba in rates.dimension_ba.items():
        pairs = zip(counts.conditions, counts.dimensions, strict=True)
        members = tuple(key for key, of in pairs if of == dimension)
        result[dimension] = DimensionMetrics(float(ba), len(members), members)
    return result


def _condition_metrics(
    counts: GroupCounts, rates: Rates, predictions: pd.DataFrame
) -> dict[str, ConditionMetrics]:
    unparseable = predictions["prediction"].isna().groupby(predictions["condition"]).mean()
    total = counts.total.sum(axis=0).astype(np.int64)
    return {
        key: ConditionMetrics(
            dimension=counts.dimensions[i],
            ba=float(rates.condition_ba[i]),
            speech_acc=float(rates.condition_recall[i, 0]),
            nonspeech_acc=float(rates.condition_recall[i, 1]),
            n_samples=int(total[i].sum()),
            n_speech=int(total[i, 0]),
            n_nonspeech=int(total[i, 1]),
            unparseable_rate=float(unparseable[key]),
        )
        for i, key in enumerate(counts.conditions)
    }


def _reasons(counts: GroupCounts) -> dict[str, str]:
    """Return why a balanced accuracy or recall is NaN."""
    reasons = {}
    total = counts.total.sum(axis=0)
    names = ("speech", "nonspeech")
    for code, name in enumerate(names):
        if total[:, code].sum() == 0:
            reasons[f"{name}_acc"] = f"no {name} clip in the table"
            reasons["ba_clip"] = f"no {name} clip in the table"
    lacking = [
        f"{key} has no {names[code]} clip"
        for i, key in enumerate(counts.conditions)
        for code in (0, 1)
        if total[i, code] == 0 and counts.dimensions[i] is not None
    ]
    if not any(counts.dimensions):
        reasons["ba_conditions"] = "no row belongs to a dimension of the condition grid"
    elif lacking:
        reasons["ba_conditions"] = "; ".join(lacking)
    return reasons
