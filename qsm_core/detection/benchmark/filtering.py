"""A detector behind its second stage: a random forest keeps the detections that sound like hits.

The forest is grown on the detector's detections in dev groups: at the chosen settings, or at those
that find most, whichever is better once it is filtered. That, and how probable a hit must be to be
kept, is chosen on dev too, each group judged by a forest that the other groups grew; test
detections are looked at once. Where keeping everything is as good, everything is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import GroupKFold

from qsm_core.detection.benchmark.choice import Choice
from qsm_core.detection.benchmark.config import Benchmark, filtered
from qsm_core.detection.benchmark.detections import Detections
from qsm_core.detection.benchmark.measured import Measured
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.rates import summary
from qsm_core.detection.recordings import Recording
from qsm_core.detection.second_stage.features import table_of_features
from qsm_core.detection.second_stage.forest import INPUTS, EventFilter, ForestSettings
from qsm_core.errors import DataError
from qsm_core.plurals import counted

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_KEEP = (0.0, *np.round(np.arange(0.1, 0.95, 0.1), 1))
_FOLDS = 5
_EQUAL = 1e-9


class UnfittedError(Exception):
    """The dev groups do not hold what a second stage has to learn from."""


@dataclass(frozen=True, eq=False)
class SplitEvents:
    """What a detector finds in the recordings of one split, and what is there.

    Args:
        detections: At any settings.
        truth: The annotations.
    """

    detections: Detections
    truth: pd.DataFrame


def behind_second_stage(
    one: Measured,
    dev: SplitEvents,
    test: SplitEvents,
    recordings: Mapping[str, Recording],
    config: Benchmark,
    folder: Path,
) -> Measured:
    """Return a detector as it is behind its second stage.

    Args:
        one: The detector, measured on test.
        dev: What it finds in dev, and the annotations there.
        test: Those of test.
        recordings: All recordings, by name.
        config: Overlap and seed.
        folder: Where the forest is kept.

    Raises:
        UnfittedError: The dev detections are of one group, or all of one kind.
        DataError: Audio cannot be read.
    """
    forest_settings = ForestSettings(seed=config.resampling.seed)
    trials, reasons = [], []
    for settings in dict.fromkeys((one.choice.settings, one.choice.finding_most)):
        if settings is None and one.choice.settings is not None:
            continue
        try:
            trials.append(_try(settings, dev, recordings, config, forest_settings))
        except UnfittedError as error:
            reasons.append(error)
    best = max(trials, key=lambda trial: trial.f1, default=None)  # of equals the chosen settings
    if best is None or best.f1 < one.choice.f1 - _EQUAL:
        raise reasons[0]  # the chosen settings leave nothing to learn, and others are worse
    best.forest.settings = replace(forest_settings, threshold=best.keep)
    best.forest.save(folder)
    found = test.detections.at(best.settings)
    kept = best.forest.keep(found, _inputs(found, recordings))
    compared = compare(
        test.truth, kept, Overlap(config.iou), recordings=test.detections.durations, by_label=False
    )
    return Measured(
        filtered(one.entrant),
        Choice(best.settings, best.f1, pd.DataFrame()),
        one.detections,
        kept,
        compared,
        unfiltered=one.entrant,
        before=None if best.settings == one.choice.settings else found,
        keep_probability=best.keep,
    )


@dataclass(frozen=True, eq=False)
class _Trial:
    """A second stage at some settings, and how good it is on dev."""

    settings: EventSettings | None
    keep: float
    f1: float
    forest: EventFilter


def _try(
    settings: EventSettings | None,
    dev: SplitEvents,
    recordings: Mapping[str, Recording],
    config: Benchmark,
    forest_settings: ForestSettings,
) -> _Trial:
    """Return the best second stage at some settings.

    Raises:
        UnfittedError: There is too little to learn from.
    """
    criterion = Overlap(config.iou)
    found = dev.detections.at(settings)
    hits, learned = _outcomes(dev.truth, found, criterion)
    inputs = _inputs(found, recordings)
    groups = np.array([recordings[str(name)].group_id for name in found["recording_id"]])
    likely = np.ones(len(found))  # what matches an unsure annotation is neither learned nor judged
    likely[learned] = _by_other_groups(
        inputs[learned], hits[learned], groups[learned], forest_settings
    )
    names = list(dev.detections.durations)
    f1 = [
        _f1(dev.truth, found[likely >= keep].reset_index(drop=True), criterion, names)
        for keep in _KEEP
    ]
    try:
        forest = EventFilter(inputs[learned].reset_index(drop=True), hits[learned], forest_settings)
    except DataError as error:
        raise UnfittedError("; ".join(error.problems)) from error
    return _Trial(settings, _best(f1), max(f1), forest)


def _outcomes(
    truth: pd.DataFrame, found: pd.DataFrame, criterion: Overlap
) -> tuple[BoolArray, BoolArray]:
    """Return which detections are hits, and which match no unsure annotation alone."""
    hits, judged = np.zeros(len(found), dtype=bool), np.ones(len(found), dtype=bool)
    hits[compare(truth, found, criterion, by_label=False).pairs["found"]] = True
    unsure = truth[truth["is_unsure"]].assign(is_unsure=False).reset_index(drop=True)
    places = np.flatnonzero(~hits)
    free = found.iloc[places].reset_index(drop=True)
    matched = compare(unsure, free, criterion, by_label=False).pairs["found"].to_numpy(int)
    judged[places[matched]] = False
    return hits, judged


def _inputs(found: pd.DataFrame, recordings: Mapping[str, Recording]) -> pd.DataFrame:
    """Return what the forest sees of each detection, in the order of the detections."""
    parts = [
        table_of_features(recordings[str(name)], events)
        for name, events in found.groupby("recording_id")
    ]
    if not parts:
        return pd.DataFrame(columns=list(INPUTS), dtype=np.float64)
    return pd.concat(parts).loc[found.index].assign(score=found["score"])


def _by_other_groups(
    inputs: pd.DataFrame, hits: BoolArray, groups: npt.NDArray[np.str_], settings: ForestSettings
) -> FloatArray:
    """Return how probable a hit each detection is to a forest that other groups grew."""
    num_groups = len(np.unique(groups))
    if num_groups < 2:
        problem = (
            f"its detections in dev lie in {counted(num_groups, 'group')}; the second stage needs "
            "two, one to learn from and one to be judged on"
        )
        raise UnfittedError(problem)
    likely = np.empty(len(hits))
    folds = GroupKFold(min(_FOLDS, num_groups)).split(inputs, hits, groups)
    for learned, judged in folds:
        own = hits[learned]
        if own.all() or not own.any():
            likely[judged] = float(own.all())
            continue
        forest = EventFilter(inputs.iloc[learned], own, settings)
        likely[judged] = forest.probability(inputs.iloc[judged])
    return likely


def _f1(
    truth: pd.DataFrame, found: pd.DataFrame, criterion: Overlap, names: Sequence[str]
) -> float:
    compared = compare(truth, found, criterion, recordings=names, by_label=False)
    return float(summary(compared)["f1"])


def _best(f1: Sequence[float]) -> float:
    """Return the probability with the largest F1: 0 if that has it, else the middle of equals."""
    best = np.flatnonzero(np.asarray(f1) >= max(f1) - 1e-12)
    return float(_KEEP[0 if best[0] == 0 else int(best[len(best) // 2])])
