"""Rows and correct rows of each group in each condition, and the rates computed from their sums.

Balanced accuracy in all its forms is a function of these sums alone, so one set of formulas
(`rates_from`) serves the table itself, every bootstrap resample and every subset.

Conventions: K: groups, C: conditions, the last axis is the class in the order SPEECH, NONSPEECH;
leading axes (`...`) are resamples or absent. An empty class has no recall: NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.conditions.grid import Band, Dimension
from qsm_core.evaluation.predictions.table import DIMENSIONS
from qsm_core.labels import Label

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_LEVEL_COLUMNS = {
    Dimension.DURATION: "duration_ms",
    Dimension.SNR: "snr_db",
    Dimension.REVERB: "t60_s",
}
CLASSES = (Label.SPEECH, Label.NONSPEECH)
_STRATUM_NAMES = {1: "SPEECH", 2: "NONSPEECH", 3: "groups with both classes"}


@dataclass(frozen=True)
class GroupCounts:
    """Rows of one system, counted by group, condition and class.

    Attributes:
        groups: Group names, length K.
        conditions: Condition keys in the order of the grid, length C.
        dimensions: Dimension of each condition, None for one that belongs to none.
        total: Rows, shape (K, C, 2).
        correct: Rows answered correctly, shape (K, C, 2).
    """

    groups: tuple[str, ...]
    conditions: tuple[str, ...]
    dimensions: tuple[str | None, ...]
    total: FloatArray
    correct: FloatArray

    @property
    def strata(self) -> IntArray:
        """Return which classes each group contains: 1 speech, 2 non-speech, 3 both; shape (K,)."""
        holds = self.total.sum(axis=1) > 0
        codes: IntArray = holds.astype(np.int64) @ np.array([1, 2], dtype=np.int64)
        return codes

    def stratum_name(self, code: int) -> str:
        """Return the name of a stratum."""
        return _STRATUM_NAMES[code]

    def groups_by_stratum(self) -> dict[str, int]:
        """Return the number of groups of each stratum by its name."""
        codes, counts = np.unique(self.strata, return_counts=True)
        return {_STRATUM_NAMES[int(code)]: int(n) for code, n in zip(codes, counts, strict=True)}


@dataclass(frozen=True)
class Rates:
    """Rates from the sums over groups; each array has the leading axes of the sums.

    Attributes:
        recall: Share of correct rows of each class, shape (..., 2).
        ba_clip: Mean of the two recalls over all rows, shape (...).
        condition_recall: The same within each condition, shape (..., C, 2).
        condition_ba: Shape (..., C).
        dimension_ba: Mean over the conditions of a dimension, by dimension, each (...).
        ba_conditions: Mean of the dimensions' balanced accuracies, shape (...).
    """

    recall: FloatArray
    ba_clip: FloatArray
    condition_recall: FloatArray
    condition_ba: FloatArray
    dimension_ba: dict[str, FloatArray]
    ba_conditions: FloatArray


def count_by_group(predictions: pd.DataFrame) -> GroupCounts:
    """Count the rows of one system. A row with a null prediction is not correct."""
    order = condition_order(predictions)
    group_codes, groups = pd.factorize(predictions["group_id"], sort=True)
    condition_codes = pd.Index(order["condition"]).get_indexer(pd.Index(predictions["condition"]))
    class_codes = (predictions["label"] != Label.SPEECH.value).to_numpy(dtype=np.int64)
    shape = (len(groups), len(order), len(CLASSES))
    cell = np.ravel_multi_index((group_codes, condition_codes, class_codes), shape)
    size = int(np.prod(shape))
    right = is_correct(predictions)
    dimensions = [None if pd.isna(name) else str(name) for name in order["dimension"]]
    return GroupCounts(
        groups=tuple(map(str, groups)),
        conditions=tuple(order["condition"]),
        dimensions=tuple(dimensions),
        total=np.bincount(cell, minlength=size).reshape(shape).astype(np.float64),
        correct=np.bincount(cell[right], minlength=size).reshape(shape).astype(np.float64),
    )


def is_correct(predictions: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return for each row whether the answer is its label; an unreadable answer is not."""
    right = (predictions["prediction"] == predictions["label"]).fillna(False)
    return right.to_numpy(dtype=bool)


def condition_order(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the conditions with their levels, in the order of the grid, whatever the row order.

    Dimensions come as duration, SNR, reverberation, filter, crossed, none; within one the physical
    level rises, and "none" comes first. `level` is that physical level, NaN where there is none.
    """
    columns = ["condition", "dimension", "duration_ms", "snr_db", "t60_s", "band"]
    order = predictions[columns].drop_duplicates("condition").copy()
    order["rank"] = order["dimension"].map({name: i for i, name in enumerate(DIMENSIONS)})
    order["named_none"] = ~order["condition"].str.endswith("_none")
    order["level"] = [_level(row) for row in order.to_dict("records")]
    by = ["rank", "named_none", "level", *_LEVEL_COLUMNS.values(), "condition"]
    order = order.sort_values(by, na_position="last")
    return order[[*columns, "level"]].reset_index(drop=True)


def _level(row: Mapping[Hashable, Any]) -> float:
    """Return the position of a condition within its dimension; NaN if it has none."""
    if row["dimension"] == Dimension.FILTER:
        bands = [band.value for band in Band]
        return bands.index(row["band"]) if row["band"] in bands else np.nan
    column = _LEVEL_COLUMNS.get(row["dimension"])
    return np.nan if column is None else float(row[column])


def rates_from(total: FloatArray, correct: FloatArray, dimensions: tuple[str | None, ...]) -> Rates:
    """Compute recalls and balanced accuracies from sums of shape (..., C, 2)."""
    recall = _ratio(correct.sum(axis=-2), total.sum(axis=-2))
    condition_recall = _ratio(correct, total)
    condition_ba = condition_recall.mean(axis=-1)
    dimension_ba = {}
    for dimension in DIMENSIONS:
        members = [i for i, name in enumerate(dimensions) if name == dimension]
        if members:
            dimension_ba[dimension] = condition_ba[..., members].mean(axis=-1)
    missing = np.full(total.shape[:-2], np.nan)
    over_conditions = np.mean(list(dimension_ba.values()), axis=0) if dimension_ba else missing
    return Rates(
        recall=recall,
        ba_clip=recall.mean(axis=-1),
        condition_recall=condition_recall,
        condition_ba=condition_ba,
        dimension_ba=dimension_ba,
        ba_conditions=np.asarray(over_conditions),
    )


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    ratio = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio
