"""Statistics of several systems with their bootstrap and jackknife values, all from the same draws.

A statistic of the table is computed three times by the same formula: on all groups, on each
resample of groups, and without each group. Differences between systems are then differences of
such triples, and they are paired, since all systems share the resamples.

With the triple comes what each group adds to the errors and to the right answers (parts), which
shows how few groups an interval depends on.

Conventions: B: resamples, K: groups, C: conditions, the last axis is the class in the order
SPEECH, NONSPEECH.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from qsm_core.errors import DataError
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.counts import GroupCounts, Rates, count_by_group, rates_from
from qsm_core.evaluation.analysis.scores import scores_of
from qsm_core.labels import Label
from qsm_core.seeding import derive_rng
from qsm_core.statistics.auroc import (
    PairWins,
    count_wins,
    jackknife_areas,
    pairs_of_groups,
    resampled_areas,
)
from qsm_core.statistics.bootstrap import (
    EXPANDED_BCA_METHOD,
    EXPANDED_METHOD,
    WeightArray,
    bca_interval,
    draw_weights,
    note_on_few_groups,
    percentile_interval,
    reason_to_refuse,
    weighted_sums,
)
from qsm_core.statistics.few_groups import FEW_DEGREES, Freedom, freedom_of
from qsm_core.statistics.interval import Interval, refused
from qsm_core.statistics.signal_detection import detection

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Step = Callable[[str], None]

TEST_STREAM = "cluster bootstrap"
TOO_NARROW = "rests on one or two groups and may be too narrow"


@dataclass(frozen=True)
class Replicated:
    """A statistic of shape (...), resampled (B, ...) and without each group (K, ...).

    The replicates are None where groups cannot be resampled. `parts` is what each group adds to
    the errors and to the right answers, shape (2, K, ...); only their relation within a class
    matters. It is None where that is not known.
    """

    value: FloatArray
    resampled: FloatArray | None = None
    jackknife: FloatArray | None = None
    parts: FloatArray | None = None

    def __sub__(self, other: Replicated) -> Replicated:
        """Return the difference, replicate by replicate."""
        return Replicated(
            self.value - other.value,
            _minus(self.resampled, other.resampled),
            _minus(self.jackknife, other.jackknife),
            _minus(self.parts, other.parts),
        )

    def at(self, index: int) -> Replicated:
        """Return one entry of a statistic of shape (C,)."""
        return Replicated(
            np.asarray(self.value[index]),
            None if self.resampled is None else self.resampled[:, index],
            None if self.jackknife is None else self.jackknife[:, index],
            None if self.parts is None else self.parts[:, :, index],
        )


def _minus(one: FloatArray | None, other: FloatArray | None) -> FloatArray | None:
    return None if one is None or other is None else one - other


@dataclass(frozen=True)
class Sums:
    """Sums over all groups, over resamples and without each group: (..., C, 2) each."""

    all: FloatArray
    resampled: FloatArray | None
    jackknife: FloatArray | None

    def map(self, *others: Sums, by: Callable[..., FloatArray]) -> Replicated:
        """Compute a statistic from these sums and others."""
        sums = (self, *others)
        drawn = [each.resampled for each in sums]
        without = [each.jackknife for each in sums]
        return Replicated(
            by(*(each.all for each in sums)),
            None if any(part is None for part in drawn) else by(*drawn),
            None if any(part is None for part in without) else by(*without),
        )


@dataclass(frozen=True)
class Ensemble:
    """Systems over the same rows, counted by group and resampled together.

    Attributes:
        counts: Rows and right rows of each system by unit of resampling.
        total: Sums of the rows, the same for all systems.
        correct: Sums of the right rows by system.
        strata: The stratum of each group, shape (K,).
        settings: Settings of the resampling.
        weights: How often each resample draws each group, shape (B, K); None where none is drawn.
        reason: Why there are no resamples.
        note: What to warn of.
    """

    counts: Mapping[str, GroupCounts]
    total: Sums
    correct: Mapping[str, Sums]
    strata: IntArray
    settings: BootstrapSettings
    weights: WeightArray | None
    reason: str | None
    note: str | None

    @property
    def first(self) -> GroupCounts:
        """The counts of the first system; groups and conditions are those of all."""
        return next(iter(self.counts.values()))

    def interval(self, statistic: Replicated, reason: str | None = None) -> Interval:
        """Return the interval of a single number, or why there is none."""
        settings = self.settings
        confidence = settings.confidence
        method = EXPANDED_BCA_METHOD if settings.method == "bca" else EXPANDED_METHOD
        if reason is None and not np.isfinite(statistic.value):
            reason = "the statistic is undefined"
        if reason is None and statistic.resampled is None:
            reason = self.reason or "not resampled"
        if reason is not None or statistic.resampled is None:
            return refused(str(reason), confidence=confidence, method=method)
        freedom = self.freedom(statistic)
        tail = freedom.tail(confidence)
        if settings.method == "bca" and statistic.jackknife is not None:
            interval = bca_interval(
                statistic.resampled,
                estimate=float(statistic.value),
                jackknife=statistic.jackknife,
                strata=self.strata,
                confidence=confidence,
                tail=tail,
            )
        else:
            interval = percentile_interval(statistic.resampled, confidence=confidence, tail=tail)
        carried = TOO_NARROW if freedom.degrees < FEW_DEGREES else None
        notes = [note for note in (interval.note, self.note, carried) if note is not None]
        return replace(interval, note="; ".join(notes)) if interval.known and notes else interval

    def freedom(self, statistic: Replicated) -> Freedom:
        """Return how precisely the variance of a single number is known from the groups."""
        return freedom_of(self.strata, statistic.jackknife, statistic.parts)

    @property
    def tail(self) -> float:
        """The share of the resamples to cut off at each end, for statistics without jackknife."""
        return freedom_of(self.strata).tail(self.settings.confidence)

    def resample(self, sums: FloatArray) -> FloatArray | None:
        """Return the sums of each resample, shape (B, M), of the sums of each group, (K, M)."""
        if self.weights is None:
            return None
        return weighted_sums(sums, self.strata, self.weights)


def assemble(
    tables: Mapping[str, pd.DataFrame], settings: BootstrapSettings, *, stream: str = TEST_STREAM
) -> Ensemble:
    """Count and resample systems that answered the same rows.

    Args:
        tables: A predictions table for each system.
        settings: Resamples, unit and seed.
        stream: Name of the stream of random numbers; sets of clips that are independent of each
            other need two.

    Raises:
        DataError: The systems were not counted over the same rows.
    """
    counts = {name: count_by_group(in_units(table, settings)) for name, table in tables.items()}
    _check_same_cells(counts)
    first = next(iter(counts.values()))
    groups = first.groups_by_stratum()
    reason = reason_to_refuse(groups)
    blocks = [first.total, *(system.correct for system in counts.values())]
    drawn: list[FloatArray | None] = [None] * len(blocks)
    weights = None
    if reason is None:
        rng = derive_rng(settings.seed, stream)
        parts = draw_weights(first.strata, num_resamples=settings.num_resamples, rng=rng)
        weights = np.concatenate(list(parts))
        by_group = np.concatenate([block.reshape(len(block), -1) for block in blocks], axis=1)
        sums = weighted_sums(by_group, first.strata, weights)
        shape = (settings.num_resamples, len(first.conditions), 2)
        drawn = [part.reshape(shape) for part in np.split(sums, len(blocks), axis=1)]
    totals = [_sums(block, part) for block, part in zip(blocks, drawn, strict=True)]
    return Ensemble(
        counts=counts,
        total=totals[0],
        correct=dict(zip(counts, totals[1:], strict=True)),
        strata=first.strata,
        settings=settings,
        weights=weights,
        reason=reason,
        note=None if reason else note_on_few_groups(groups, settings.unit),
    )


def in_units(table: pd.DataFrame, settings: BootstrapSettings) -> pd.DataFrame:
    """Return the table with the unit of resampling as its group."""
    return table if settings.unit == "group" else table.assign(group_id=table["clip_id"])


def rate_statistics(ensemble: Ensemble, system: str) -> dict[str, Replicated]:
    """Return recalls and balanced accuracies, overall and by condition.

    Keys: ba_clip, ba_conditions, speech_acc, nonspeech_acc (single numbers); condition_ba,
    condition_speech_acc, condition_nonspeech_acc (shape (C,)); `dimension_ba.<dimension>`.
    """
    dimensions = ensemble.first.dimensions
    totals, correct = ensemble.total, ensemble.correct[system]
    replicates = [
        None if total is None or right is None else rates_from(total, right, dimensions)
        for total, right in (
            (totals.all, correct.all),
            (totals.resampled, correct.resampled),
            (totals.jackknife, correct.jackknife),
        )
    ]
    point, drawn, without = (None if rates is None else _named(rates) for rates in replicates)
    parts = _parts(ensemble, system)
    return {
        name: Replicated(
            np.asarray(value),
            None if drawn is None else drawn[name],
            None if without is None else without[name],
            parts[name],
        )
        for name, value in (point or {}).items()
    }


def _named(rates: Rates) -> dict[str, FloatArray]:
    return {
        "ba_clip": rates.ba_clip,
        "ba_conditions": rates.ba_conditions,
        "speech_acc": rates.recall[..., 0],
        "nonspeech_acc": rates.recall[..., 1],
        "condition_ba": rates.condition_ba,
        "condition_speech_acc": rates.condition_recall[..., 0],
        "condition_nonspeech_acc": rates.condition_recall[..., 1],
        **{f"dimension_ba.{name}": ba for name, ba in rates.dimension_ba.items()},
    }


def _parts(ensemble: Ensemble, system: str) -> dict[str, FloatArray]:
    """Return what each group adds to the errors and to the right answers, (2, K, ...) by name.

    A balanced accuracy is linear in the counts: its value for the counts of one group alone, over
    all rows, is what the group adds.
    """
    counts = ensemble.counts[system]
    total = np.broadcast_to(counts.total.sum(axis=0), counts.total.shape)
    wrong, right = (
        _named(rates_from(total, rows, counts.dimensions))
        for rows in (counts.total - counts.correct, counts.correct)
    )
    return {name: np.stack([wrong[name], right[name]]) for name in wrong}


def detection_statistics(ensemble: Ensemble, system: str) -> dict[str, Replicated]:
    """Return d_prime and criterion over all rows, and by condition as condition_..."""
    totals, correct = ensemble.total, ensemble.correct[system]

    def overall(total: FloatArray, right: FloatArray) -> FloatArray:
        return by_condition(total.sum(axis=-2), right.sum(axis=-2))

    def by_condition(total: FloatArray, right: FloatArray) -> FloatArray:
        measures = detection(right[..., 0], total[..., 0], right[..., 1], total[..., 1])
        return np.stack(measures)

    # Within a class, what groups add to d' and criterion is in proportion to what they add here.
    parts = _parts(ensemble, system)
    statistics = {}
    for prefix, by, rate in (
        ("", overall, "ba_clip"),
        ("condition_", by_condition, "condition_ba"),
    ):
        both = totals.map(correct, by=by)
        for kind, name in enumerate(("d_prime", "criterion")):
            statistics[prefix + name] = Replicated(
                both.value[kind],
                None if both.resampled is None else both.resampled[kind],
                None if both.jackknife is None else both.jackknife[kind],
                parts[rate],
            )
    return statistics


def area_statistics(
    ensemble: Ensemble, table: pd.DataFrame, *, by_condition: bool = True
) -> dict[str, Replicated] | str:
    """Return auroc and condition_auroc (shape (C,)), or the reason why there are none."""
    scored = scores_of(table)
    if isinstance(scored, str):
        return scored
    units = in_units(table, ensemble.settings)["group_id"]
    codes = pd.Index(ensemble.first.groups).get_indexer(pd.Index(units.astype(str)))
    is_speech = (table["label"] == Label.SPEECH.value).to_numpy()
    if is_speech.all() or not is_speech.any():
        return "only one class is present"
    whole = count_wins(scored.values, is_speech, codes)
    areas = {"auroc": _area(whole, ensemble)}
    if not by_condition:
        return areas
    condition = table["condition"].to_numpy()
    parts = []
    for key in ensemble.first.conditions:
        rows = condition == key
        pairs = count_wins(scored.values[rows], is_speech[rows], codes[rows])
        parts.append(_area(pairs, ensemble))
    areas["condition_auroc"] = Replicated(
        np.stack([part.value for part in parts]),
        _stacked([part.resampled for part in parts]),
        _stacked([part.jackknife for part in parts]),
        _stacked([part.parts for part in parts]),
    )
    return areas


def _area(pairs: PairWins, ensemble: Ensemble) -> Replicated:
    if ensemble.weights is None:
        return Replicated(np.asarray(pairs.area))
    return Replicated(
        np.asarray(pairs.area),
        resampled_areas(pairs, ensemble.weights),
        jackknife_areas(pairs, len(ensemble.strata)),
        pairs_of_groups(pairs, len(ensemble.strata)),
    )


def _stacked(parts: list[FloatArray | None]) -> FloatArray | None:
    known = [part for part in parts if part is not None]
    return np.stack(known, axis=-1) if len(known) == len(parts) else None


def _sums(block: FloatArray, drawn: FloatArray | None) -> Sums:
    whole = block.sum(axis=0)
    return Sums(whole, drawn, None if drawn is None else whole - block)


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
