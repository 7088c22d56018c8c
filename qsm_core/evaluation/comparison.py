"""Paired comparisons of systems that answered the same rows.

The difference of two balanced accuracies comes with the interval of a paired cluster bootstrap
and the p-value of a cluster sign-flip test (the two systems exchanged within a group); p-values
of all comparisons that are made together are corrected by Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.counts import GroupCounts, count_by_group, is_correct, rates_from
from qsm_core.evaluation.intervals import Resampled, resample
from qsm_core.evaluation.settings import BootstrapSettings
from qsm_core.seeding import derive_rng
from qsm_core.statistics.bootstrap import METHOD
from qsm_core.statistics.interval import Interval, refused
from qsm_core.statistics.multiplicity import holm
from qsm_core.statistics.sign_flip import sign_flip_test

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One balanced accuracy of `second` minus that of `first`; p-values are two-sided."""

    value: float
    interval: Interval
    p_value: float
    p_holm: float


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same rows.

    `only_first` and `only_second` count the rows that only that system answered correctly.
    """

    first: str
    second: str
    ba_clip: Difference
    ba_conditions: Difference
    only_first: int
    only_second: int


def compare(
    tables: Mapping[str, pd.DataFrame],
    pairs: Sequence[tuple[str, str]],
    *,
    settings: BootstrapSettings | None = None,
) -> list[Comparison]:
    """Compare pairs of systems; each difference is second minus first.

    Args:
        tables: A predictions table for each system, all over the same clips and conditions.
        pairs: Which two systems to compare, as keys of `tables`.
        settings: Resamples (also the number of permutations), confidence and seed.

    Raises:
        DataError: The tables do not hold the same rows.
    """
    if not pairs:
        return []
    settings = settings or BootstrapSettings()
    check_same_rows(tables)
    counts = {name: count_by_group(table) for name, table in tables.items()}
    resampled = resample(counts, settings)
    made = [_comparison(tables, counts, resampled, pair, settings) for pair in pairs]
    by_clip = holm([one.ba_clip.p_value for one in made])
    by_condition = holm([one.ba_conditions.p_value for one in made])
    return [
        replace(
            one,
            ba_clip=replace(one.ba_clip, p_holm=float(p_clip)),
            ba_conditions=replace(one.ba_conditions, p_holm=float(p_conditions)),
        )
        for one, p_clip, p_conditions in zip(made, by_clip, by_condition, strict=True)
    ]


def check_same_rows(tables: Mapping[str, pd.DataFrame]) -> None:
    """Check that all tables hold the same clips, labels, groups and conditions.

    Raises:
        DataError: They do not; each system that differs from the first is named.
    """
    columns = ["clip_id", "condition", "label", "group_id"]
    rows = {name: pd.MultiIndex.from_frame(table[columns]) for name, table in tables.items()}
    names = list(rows)
    problems = []
    for name in names[1:]:
        missing = len(rows[names[0]].difference(rows[name]))
        extra = len(rows[name].difference(rows[names[0]]))
        if missing or extra:
            problems.append(
                f"system {name!r} lacks {missing} rows of system {names[0]!r} and has {extra} "
                "that it lacks; evaluate both on the same corpus, split and conditions"
            )
    if problems:
        raise DataError("systems can only be compared on the same rows", problems)


def _comparison(
    tables: Mapping[str, pd.DataFrame],
    counts: Mapping[str, GroupCounts],
    resampled: Resampled,
    pair: tuple[str, str],
    settings: BootstrapSettings,
) -> Comparison:
    first, second = pair
    right_first, right_second = (_correct_in_order(tables[name]) for name in pair)
    return Comparison(
        first=first,
        second=second,
        ba_clip=_difference("ba_clip", counts, resampled, pair, settings),
        ba_conditions=_difference("ba_conditions", counts, resampled, pair, settings),
        only_first=int(np.sum(right_first & ~right_second)),
        only_second=int(np.sum(~right_first & right_second)),
    )


def _correct_in_order(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    order = table.reset_index(drop=True).sort_values(["clip_id", "condition"]).index
    return is_correct(table)[order]


def _difference(
    metric: str,
    counts: Mapping[str, GroupCounts],
    resampled: Resampled,
    pair: tuple[str, str],
    settings: BootstrapSettings,
) -> Difference:
    first, second = pair
    contributions = _contributions(metric, counts[first], counts[second])
    value = float(contributions.sum())
    if np.isnan(value):
        reason = f"{metric} is not defined for these rows"
        missing = refused(reason, confidence=settings.confidence, method=METHOD)
        return Difference(value, missing, np.nan, np.nan)
    if resampled.reason is not None:
        missing = refused(resampled.reason, confidence=settings.confidence, method=METHOD)
        return Difference(value, missing, np.nan, np.nan)
    samples = getattr(resampled.rates[second], metric) - getattr(resampled.rates[first], metric)
    rng = derive_rng(settings.seed, "sign flip", metric, first, second)
    rows = counts[first].total.sum(axis=(1, 2))
    strata = counts[first].strata
    rows_of_stratum = np.bincount(strata, weights=rows)[strata]
    test = sign_flip_test(
        contributions,
        strata=strata,
        shares=rows / rows_of_stratum,
        num_permutations=settings.num_resamples,
        rng=rng,
    )
    interval = resampled.interval(samples, settings.confidence)
    return Difference(value, interval, test.p_value, np.nan)


def _contributions(metric: str, first: GroupCounts, second: GroupCounts) -> FloatArray:
    """Return what each group adds to the difference of a balanced accuracy, shape (K,).

    A balanced accuracy is linear in the correct counts: its value for correct counts of group k
    alone (and all rows in the denominators) is the group's part, and the parts add up.
    """
    total = first.total.sum(axis=0)
    gained = second.correct - first.correct
    rates = rates_from(np.broadcast_to(total, gained.shape), gained, first.dimensions)
    part: FloatArray = getattr(rates, metric)
    return part
