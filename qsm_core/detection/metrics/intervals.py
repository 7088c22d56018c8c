"""How sure the rates of detectors and their differences are: a bootstrap over groups.

Groups (tapes, days, individuals) are drawn with replacement, each with all of its recordings, and
the same draws serve all detectors, so that differences are paired. Few groups widen the intervals
(`statistics/few_groups.py`); a single one has none. p-values are those of Student's t on the
bootstrap's standard error, corrected by Holm within each rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.detection.metrics.rates import Rates, rates
from qsm_core.detection.metrics.resampling import Resampling
from qsm_core.errors import DataError
from qsm_core.seeding import derive_rng
from qsm_core.statistics.bootstrap import (
    draw_weights,
    note_on_few_groups,
    percentile_interval,
    reason_to_refuse,
    weighted_sums,
)
from qsm_core.statistics.few_groups import freedom_of
from qsm_core.statistics.interval import Interval, refused
from qsm_core.statistics.multiplicity import by_family, holm

FloatArray = npt.NDArray[np.float64]
RATES = Rates._fields
_SUMS = ("tp", "n_truth", "n_found")


@dataclass(frozen=True, eq=False)
class _Estimates:
    """The rates of one detector: its value, without each group, and in each resample."""

    value: dict[str, float]
    jackknife: dict[str, FloatArray]
    resampled: dict[str, FloatArray]


def rates_with_intervals(
    counts: Mapping[str, pd.DataFrame],
    groups: Mapping[str, str],
    settings: Resampling | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rates of detectors and their differences, each with its interval.

    Args:
        counts: The counts of each detector (`counting.Comparison.counts`) in the same recordings.
        groups: The group of each recording.
        settings: Resamples, confidence and seed.
        pairs: Which detectors to compare; by default each with the one before it.

    Returns:
        `detector, metric, value, low, high, reason, note, groups`, and
        `first, second, metric, difference, low, high, p_value, p_holm, reason, note`, where the
        difference is second minus first.

    Raises:
        DataError: A recording has no group, or the detectors looked at different recordings.
    """
    settings = settings or Resampling()
    names = list(counts)
    members = _recordings(counts, groups)
    keys = sorted({groups[name] for name in members})
    estimates = _estimates(counts, groups, keys, settings)
    rows = [
        {
            "detector": name,
            "metric": metric,
            "value": estimates[name].value[metric],
            **_columns(_interval(estimates[name], metric, len(keys), settings)),
            "groups": len(keys),
        }
        for name in names
        for metric in RATES
    ]
    wanted = list(pairwise(names)) if pairs is None else list(pairs)
    differences = [
        {"first": a, "second": b, **_difference(estimates[a], estimates[b], metric, keys, settings)}
        for a, b in wanted
        for metric in RATES
    ]
    columns = ["first", "second", "metric", "difference", "low", "high", "p_value"]
    compared = pd.DataFrame(differences, columns=[*columns, "reason", "note"])
    corrected = by_family(compared["p_value"].tolist(), compared["metric"].tolist(), holm)
    compared.insert(7, "p_holm", np.asarray(corrected, dtype=np.float64))
    return pd.DataFrame(rows), compared


def _recordings(counts: Mapping[str, pd.DataFrame], groups: Mapping[str, str]) -> list[str]:
    seen = {name: set(table["recording_id"]) for name, table in counts.items()}
    everywhere = sorted(set().union(*seen.values()))
    problems = [f"recording {name}: has no group" for name in everywhere if name not in groups]
    problems += [
        f"detector {detector}: has no counts of recording {name}; give every detector all "
        "recordings, also those in which it found nothing"
        for detector, own in seen.items()
        for name in everywhere
        if name not in own
    ]
    if problems:
        raise DataError("the detectors cannot be compared", problems)
    return everywhere


def _estimates(
    counts: Mapping[str, pd.DataFrame],
    groups: Mapping[str, str],
    keys: Sequence[str],
    settings: Resampling,
) -> dict[str, _Estimates]:
    sums = np.hstack([_group_sums(table, groups, keys) for table in counts.values()])
    strata = np.zeros(len(keys), dtype=np.int64)
    draws = draw_weights(
        strata,
        num_resamples=settings.num_resamples,
        rng=derive_rng(settings.seed, "detection bootstrap"),
    )
    resampled = np.vstack([weighted_sums(sums, strata, weights) for weights in draws])
    without = sums.sum(axis=0) - sums
    estimates = {}
    for number, name in enumerate(counts):
        own = slice(3 * number, 3 * number + 3)
        estimates[name] = _Estimates(
            {key: float(value) for key, value in _named(sums[:, own].sum(axis=0)).items()},
            _named(without[:, own]),
            _named(resampled[:, own]),
        )
    return estimates


def _group_sums(table: pd.DataFrame, groups: Mapping[str, str], keys: Sequence[str]) -> FloatArray:
    grouped = table.groupby(table["recording_id"].map(dict(groups)))[list(_SUMS)].sum()
    return grouped.reindex(list(keys)).to_numpy(np.float64)


def _named(sums: FloatArray) -> dict[str, FloatArray]:
    return rates(sums[..., 0], sums[..., 1], sums[..., 2])._asdict()


def _interval(
    estimates: _Estimates, metric: str, num_groups: int, settings: Resampling
) -> Interval:
    return _interval_of(
        estimates.resampled[metric], estimates.jackknife[metric], num_groups, settings
    )


def _interval_of(
    resampled: FloatArray, jackknife: FloatArray, num_groups: int, settings: Resampling
) -> Interval:
    strata = np.zeros(num_groups, dtype=np.int64)
    reason = reason_to_refuse({"the test set": num_groups})
    if reason is not None:
        return refused(reason, confidence=settings.confidence, method="cluster bootstrap")
    tail = freedom_of(strata, jackknife).tail(settings.confidence)
    interval = percentile_interval(resampled, confidence=settings.confidence, tail=tail)
    note = note_on_few_groups({"the test set": num_groups})
    return Interval(
        interval.low, interval.high, interval.confidence, interval.method, interval.reason, note
    )


def _difference(
    first: _Estimates, second: _Estimates, metric: str, keys: Sequence[str], settings: Resampling
) -> dict[str, object]:
    resampled = second.resampled[metric] - first.resampled[metric]
    jackknife = second.jackknife[metric] - first.jackknife[metric]
    value = second.value[metric] - first.value[metric]
    interval = _interval_of(resampled, jackknife, len(keys), settings)
    p_value = np.nan
    if interval.known and np.isfinite(value):
        freedom = freedom_of(np.zeros(len(keys), dtype=np.int64), jackknife)
        p_value = freedom.p_value(value, freedom.error(resampled))
    return {
        "metric": metric,
        "difference": value,
        "p_value": p_value,
        **_columns(interval),
    }


def _columns(interval: Interval) -> dict[str, object]:
    return {
        "low": np.nan if interval.low is None else interval.low,
        "high": np.nan if interval.high is None else interval.high,
        "reason": interval.reason,
        "note": interval.note,
    }
