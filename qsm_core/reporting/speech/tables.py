"""The tables of the report as data frames: rates are shares from 0 to 1, unknown is NaN.

Everything is taken from the tables of an analysis and only arranged: one row a system, a
comparison or a condition, and the ends of an interval in columns of their own, `<metric>_low` and
`<metric>_high`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.evaluation.analysis.tables import ALL, Analysis

Titles = Mapping[str, str]

RESULT_METRICS = (
    "ba_clip",
    "ba_conditions",
    "speech_acc",
    "nonspeech_acc",
    "auroc",
    "d_prime",
    "criterion",
    "unparseable_rate",
)
_CALIBRATION = (
    "ece",
    "brier",
    "log_loss",
    "confidence_right",
    "confidence_wrong",
    "confidence_gap",
)
_COUNTS = ("n_rows", "n_clips", "n_groups")
_COMPARED = ("ba_clip", "ba_conditions", "auroc", "d_prime")
_TESTED = (
    "p_value",
    "p_holm",
    "p_bh",
    "p_obuchowski",
    "p_mcnemar",
    "groups_differ",
    "carried_by",
    "carrying_groups",
    "smallest_p",
    "smallest_p_holm",
    "only_first",
    "only_second",
    "minimum_detectable",
    "margin",
    "verdict",
)


def reference_of(analysis: Analysis) -> str | None:
    """Return the system that most others are compared with, the first of several."""
    firsts = analysis.comparisons.loc[analysis.comparisons["metric"] == "ba_clip", "first"]
    counts = firsts.value_counts()
    return max(analysis.order, key=lambda name: counts.get(name, 0)) if len(counts) else None


def dimension_means(analysis: Analysis) -> pd.DataFrame:
    """Return the rows of `conditions` that are means over a dimension."""
    table = analysis.conditions
    return table[table["condition"] == table["dimension"]]


def single_conditions(analysis: Analysis) -> pd.DataFrame:
    """Return the rows of `conditions` that are one condition each."""
    table = analysis.conditions
    return table[table["condition"] != table["dimension"]]


def results_table(analysis: Analysis, titles: Titles) -> pd.DataFrame:
    """Return one row a system: rates, intervals, and the paired difference to the reference.

    Each set of systems that answered the same clips has a reference of its own.
    """
    pairs = analysis.comparisons[analysis.comparisons["metric"] == "ba_clip"]
    references = _references(pairs, analysis.order)
    rows = []
    for name in analysis.order:
        reference = references[name]
        differences = pairs[pairs["first"] == reference].set_index("second")
        found = analysis.systems[analysis.systems["system"] == name].set_index("metric")
        row: dict[str, Any] = {"system": name, "title": titles[str(name)]}
        for metric in RESULT_METRICS:
            row |= _with_ends(metric, found, metric)
        row |= {count: _value(found, count) for count in _COUNTS}
        row |= {"reference": reference} | _with_ends("difference", differences, name)
        row |= {key: _value(differences, name, key) for key in ("p_value", "p_holm")}
        rows.append(row)
    return pd.DataFrame(rows)


def _references(pairs: pd.DataFrame, order: Sequence[str]) -> dict[str, str | None]:
    """Return for each system the most frequent reference among those paired with it."""
    tied = {name: {name} for name in order}
    for first, second in zip(pairs["first"], pairs["second"], strict=True):
        both = tied[first] | tied[second]
        tied |= dict.fromkeys(both, both)
    counts = pairs["first"].value_counts()
    return {
        name: max(
            (other for other in order if other in tied[name]),
            key=lambda other: counts.get(other, 0),
        )
        if len(tied[name]) > 1
        else None
        for name in order
    }


def comparisons_table(analysis: Analysis, titles: Titles) -> pd.DataFrame:
    """Return one row a comparison; differences are second minus first."""
    rows = []
    table = analysis.comparisons
    for key, found in table.groupby(["family", "first", "second"], sort=False):
        family, first, second = map(str, key)
        by_metric = found.set_index("metric")
        row: dict[str, Any] = {"family": family, "first": first, "second": second}
        row["title"] = f"{titles[second]} against {titles[first]}"
        for metric in _COMPARED:
            row |= _with_ends(metric, by_metric, metric)
        row |= {name: _value(by_metric, "ba_clip", name) for name in _TESTED}
        rows.append(row)
    columns = ["family", "first", "second", "title", *_ends_of(_COMPARED), *_TESTED]
    return pd.DataFrame(rows, columns=columns)


def thresholds_table(analysis: Analysis, titles: Titles) -> pd.DataFrame:
    """Return one row a system x threshold with its outcome."""
    columns = ["system", "threshold", "measure", "unit", "target", "outcome", "value", "low"]
    table = analysis.thresholds[[*columns, "high", "share_reached", "reason"]].copy()
    table.insert(1, "title", table["system"].map(titles))
    return table


def conditions_table(analysis: Analysis) -> pd.DataFrame:
    """Return one row a condition x system: balanced accuracy and the two recalls."""
    table = analysis.conditions
    keys = ["system", "condition", "dimension", "level"]
    rows = []
    for key, found in table.groupby(["system", "condition"], sort=False):
        by_metric = found.set_index("metric")
        row: dict[str, Any] = dict(zip(keys[:2], key, strict=True))
        row |= {name: found[name].iloc[0] for name in keys[2:]}
        for metric in ("ba", "speech_acc", "nonspeech_acc", "auroc", "d_prime", "criterion"):
            row |= _with_ends(metric, by_metric, metric)
        rows.append(row | {"rows": found["rows"].iloc[0]})
    return pd.DataFrame(rows)


def calibration_table(analysis: Analysis, titles: Titles) -> pd.DataFrame:
    """Return one row a system x variant: calibration error, losses, and confidence of answers."""
    rows = []
    table = analysis.calibration
    for key, found in table.groupby(["system", "variant"], sort=False):
        by_metric = found.set_index("metric")
        row: dict[str, Any] = {"system": key[0], "title": titles[str(key[0])], "variant": key[1]}
        for metric in _CALIBRATION:
            row |= _with_ends(metric, by_metric, metric)
        rows.append(row | {"temperature": _value(by_metric, "temperature")})
    columns = ["system", "title", "variant", *_ends_of(_CALIBRATION)]
    return pd.DataFrame(rows, columns=[*columns, "temperature"])


def overall_confusion(analysis: Analysis, titles: Titles) -> pd.DataFrame:
    """Return the confusion over all conditions, with titles."""
    table = analysis.confusion[analysis.confusion["condition"] == ALL].copy()
    table.insert(1, "title", table["system"].map(titles))
    return table


def _ends_of(metrics: Sequence[str]) -> list[str]:
    return [f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")]


def _with_ends(name: str, table: pd.DataFrame, key: str) -> dict[str, float]:
    ends = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}": _value(table, key, column) for end, column in ends.items()}


def _value(table: pd.DataFrame, key: str, column: str = "value") -> Any:
    return table.at[key, column] if key in table.index else np.nan
