"""All thresholds and hops of stored tracks: no detector listens again.

A sweep over the test set shows how a detector behaves; the threshold is chosen on dev groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from qsm_core.detection.events.finding import find_events
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.matching import Criterion
from qsm_core.detection.metrics.rates import rates, summary
from qsm_core.detection.tracks import ScoreTrack
from qsm_core.errors import DataError


@dataclass(frozen=True, eq=False)
class Sweep:
    """What each setting gives.

    Attributes:
        settings: The settings that were tried.
        overall: One row a setting: threshold, hop_s, and what `rates.summary` returns.
        counts: One row a setting, recording and label: `setting` (its number), and the counts.
    """

    settings: tuple[EventSettings, ...]
    overall: pd.DataFrame
    counts: pd.DataFrame


def sweep(
    tracks: Sequence[ScoreTrack],
    annotations: pd.DataFrame,
    settings: Sequence[EventSettings],
    criterion: Criterion,
) -> Sweep:
    """Score the events of every setting.

    Args:
        tracks: Of one detector; all recordings that count, also those without an annotation.
        annotations: Those of other recordings and labels are left out.
        settings: What to try; see `grid`.
        criterion: Which pairs may be matched.
    """
    names = [track.info.recording_id for track in tracks]
    labels = {track.info.label for track in tracks}
    own = annotations[annotations["recording_id"].isin(names) & annotations["label"].isin(labels)]
    return sweep_detections(
        lambda each: find_events(tracks, each),
        names,
        own.reset_index(drop=True),
        settings,
        criterion,
    )


def sweep_detections(
    at: Callable[[EventSettings], pd.DataFrame],
    names: Sequence[str],
    annotations: pd.DataFrame,
    settings: Sequence[EventSettings],
    criterion: Criterion,
) -> Sweep:
    """Score the events of every setting, wherever they come from.

    Args:
        at: Returns the detections at a setting.
        names: All recordings that count.
        annotations: Of these recordings, under the label of the detections.
        settings: What to try.
        criterion: Which pairs may be matched.
    """
    rows, counts = [], []
    for number, each in enumerate(settings):
        compared = compare(annotations, at(each), criterion, recordings=names)
        rows.append({"threshold": each.threshold, "hop_s": each.hop_s, **summary(compared)})
        counts.append(compared.counts.assign(setting=number))
    joined = pd.concat(counts, ignore_index=True) if counts else pd.DataFrame()
    return Sweep(tuple(settings), pd.DataFrame(rows), joined)


def grid(
    settings: EventSettings,
    thresholds: Iterable[float],
    hops_s: Iterable[float | None] = (None,),
) -> list[EventSettings]:
    """Return settings for every threshold (log odds) and hop.

    A low threshold keeps its distance from the threshold.
    """
    below = None if settings.low_threshold is None else settings.threshold - settings.low_threshold
    return [
        replace(
            settings,
            threshold=float(threshold),
            low_threshold=None if below is None else float(threshold) - below,
            hop_s=hop,
        )
        for hop in hops_s
        for threshold in thresholds
    ]


def thresholds_of(tracks: Sequence[ScoreTrack], count: int = 50) -> list[float]:
    """Return log odds between which the scores of tracks are spread evenly, rising.

    The upper half of the range is searched as finely as the rest: events are rare, so that most
    quantiles of the scores lie far below any useful threshold.
    """
    scores = np.concatenate([track.logit for track in tracks]) if tracks else np.empty(0)
    if len(scores) == 0:
        return []
    low, high = np.quantile(scores.astype(np.float64), [0.5, 1.0])
    by_rank = np.quantile(scores.astype(np.float64), 1 - np.geomspace(1e-4, 0.5, count // 2))
    by_value = np.linspace(low, high, count - count // 2 + 1)[:-1]
    return [float(value) for value in np.unique(np.concatenate([by_rank, by_value]))]


def best_setting(found: Sweep) -> EventSettings:
    """Return the setting with the largest F1; the middle one where several have it.

    Raises:
        DataError: F1 is undefined everywhere: there is neither an annotation nor a detection.
    """
    f1 = found.overall["f1"].to_numpy(np.float64)
    if not np.isfinite(f1).any():
        problem = "dev groups have no annotation of this label: a threshold cannot be chosen"
        raise DataError("there is nothing to choose by", [problem])
    best = np.flatnonzero(f1 >= np.nanmax(f1) - 1e-12)
    return found.settings[int(best[len(best) // 2])]


def recall_by_recording(found: Sweep) -> pd.DataFrame:
    """Return recall by recording (rows) and setting (columns), for a heat map."""
    sums = found.counts.groupby(["recording_id", "setting"], as_index=False)[
        ["tp", "n_truth", "n_found"]
    ].sum()
    recall = rates(sums["tp"], sums["n_truth"], sums["n_found"]).recall
    table = sums.assign(recall=recall)
    return table.pivot_table(index="recording_id", columns="setting", values="recall", dropna=False)
