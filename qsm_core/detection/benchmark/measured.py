"""The tables of a benchmark, each a pure function of score tracks and annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from qsm_core.detection.benchmark.choice import Choice
from qsm_core.detection.benchmark.config import Benchmark, Entrant
from qsm_core.detection.benchmark.detections import Detections, TrackDetections
from qsm_core.detection.events.settings import logit_of
from qsm_core.detection.metrics.counting import Comparison, compare
from qsm_core.detection.metrics.frame_truth import labelled_windows
from qsm_core.detection.metrics.matching import Collar, Overlap
from qsm_core.detection.metrics.psds import PsdsSettings, intersections, psds
from qsm_core.detection.metrics.ranking import rank
from qsm_core.detection.metrics.rates import (
    by_recording,
    count_correlations,
    recall_by_quality,
    summary,
)
from qsm_core.detection.metrics.segments import segment_counts
from qsm_core.detection.metrics.sweep import grid, sweep_detections
from qsm_core.detection.tracks import ScoreTrack

_SEGMENT_S = 1.0
_PSDS_POINTS = 25


@dataclass(frozen=True, eq=False)
class Measured:
    """A detector on the test recordings, with the settings that were chosen on dev.

    Attributes:
        entrant: The detector.
        choice: Its settings.
        detections: What it finds in the test recordings at any settings.
        found: Its detections at the chosen ones.
        compared: With the annotations.
        unfiltered: The same detector before its second stage; None: it has none.
        before: What the second stage sorted, where that is not what the detector finds at its own
            settings.
        keep_probability: Of a hit, from which on the second stage keeps a detection.
    """

    entrant: Entrant
    choice: Choice
    detections: Detections
    found: pd.DataFrame
    compared: Comparison
    unfiltered: Entrant | None = None
    before: pd.DataFrame | None = None
    keep_probability: float = np.nan

    @property
    def names(self) -> list[str]:
        """The test recordings."""
        return list(self.detections.durations)


def measure(
    entrant: Entrant,
    choice: Choice,
    detections: Detections,
    truth: pd.DataFrame,
    config: Benchmark,
) -> Measured:
    """Make the detections of a detector, and compare them with the annotations of test."""
    found = detections.at(choice.settings)
    criterion = Overlap(config.iou)
    compared = compare(truth, found, criterion, recordings=detections.durations, by_label=False)
    return Measured(entrant, choice, detections, found, compared)


def settings_row(one: Measured) -> dict[str, object]:
    """Return how events were made of the scores of a detector, and how well that did on dev."""
    row: dict[str, object] = {"detector": one.entrant.name, "variant": one.entrant.variant}
    settings = one.choice.settings
    made_here = isinstance(one.detections, TrackDetections)
    if settings is not None:
        row |= {
            "threshold": settings.threshold,
            "threshold_probability": 1 / (1 + np.exp(-settings.threshold)),
        }
    if settings is not None and made_here:
        low = settings.low_threshold
        row |= {
            "low_threshold": settings.threshold if low is None else low,
            "min_duration_s": settings.min_duration_s,
            "max_gap_s": settings.max_gap_s,
            "localisation": settings.localisation,
        }
    return row | {
        "unfiltered": None if one.unfiltered is None else one.unfiltered.name,
        "keep_probability": one.keep_probability,
        "dev_f1": one.choice.f1,
    }


def further_row(one: Measured, truth: pd.DataFrame, config: Benchmark) -> dict[str, object]:
    """Return further measures of a detector on test: overlaps, collars, AP, PSDS, counts."""
    names, durations = one.names, one.detections.durations
    hours = sum(durations.values()) / 3600
    row: dict[str, object] = {"detector": one.entrant.name, **summary(one.compared)}
    for iou in config.further_ious:
        other = compare(truth, one.found, Overlap(iou), recordings=names, by_label=False)
        row[f"f1_iou{iou:g}"] = summary(other)["f1"]
    collar = compare(truth, one.found, Collar(), recordings=names, by_label=False)
    row["f1_collar"] = summary(collar)["f1"]
    segments, _ = segment_counts(truth, one.found, _SEGMENT_S)
    row["f1_segments"] = _segment_f1(segments)
    row["average_precision"] = np.nan
    if one.found["score"].notna().all():
        ranked = rank(truth, one.found, Overlap(config.iou), by_label=False)
        row["average_precision"] = ranked.average_precision
    row["psds"] = _psds(one, truth, sum(durations.values()))
    row["detections_per_hour"] = len(one.found) / hours if hours else np.nan
    return row | {
        f"{name}_counts": value
        for name, value in count_correlations(by_recording(one.compared.counts, durations)).items()
    }


def sweep_rows(
    one: Measured, truth: pd.DataFrame, config: Benchmark
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rates at each threshold on test, over all recordings and for each.

    There is no hysteresis; every other setting is the one that was chosen. The sweep chooses
    nothing. Detections without scores have none.
    """
    if one.choice.settings is None:
        return pd.DataFrame(), pd.DataFrame()
    thresholds = [logit_of(probability) for probability in config.thresholds]
    settings = grid(replace(one.choice.settings, low_threshold=None), thresholds)
    found = sweep_detections(one.detections.at, one.names, truth, settings, Overlap(config.iou))
    named = {"detector": one.entrant.name}
    overall = found.overall.assign(**named, threshold=config.thresholds)
    each = [
        by_recording(counts.drop(columns="setting"), {}).assign(
            **named, threshold=config.thresholds[int(str(number))]
        )
        for number, counts in found.counts.groupby("setting")
    ]
    return overall, pd.concat(each, ignore_index=True)


def quality_rows(one: Measured, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the recall of a detector by the quality of annotations."""
    table = recall_by_quality(truth, one.compared)
    return table.assign(detector=one.entrant.name)


def boundary_rows(one: Measured, truth: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of begin and end of each hit, in seconds."""
    pairs = one.compared.pairs
    recording = truth["recording_id"].to_numpy()[pairs["truth"].to_numpy(int)]
    return pd.DataFrame(
        {
            "detector": one.entrant.name,
            "recording_id": recording,
            "onset_error_s": pairs["onset_error_s"].to_numpy(),
            "offset_error_s": pairs["offset_error_s"].to_numpy(),
        }
    )


def windows_of(tracks: Sequence[ScoreTrack], truth: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the log odds of all windows of some recordings, and whether each is in an event."""
    parts = [
        labelled_windows(track, truth[truth["recording_id"] == track.info.recording_id])
        for track in tracks
    ]
    return np.concatenate([one[0] for one in parts]), np.concatenate([one[1] for one in parts])


def _psds(one: Measured, truth: pd.DataFrame, duration_s: float) -> float:
    scores, chosen = one.detections.scores, one.choice.settings
    if not len(scores) or chosen is None or one.unfiltered is not None:
        return np.nan
    settings = PsdsSettings()
    levels = np.unique(np.percentile(scores, np.linspace(50, 99.9, _PSDS_POINTS)))
    points = []
    for level in levels:
        at = replace(chosen, threshold=float(level), low_threshold=None)
        points.append(intersections(truth, one.detections.at(at), settings))
    return psds(points, duration_s, settings)


def _segment_f1(counts: pd.DataFrame) -> float:
    sums = counts[["n_truth", "n_found", "tp"]].sum()
    both = sums["n_truth"] + sums["n_found"]
    return float(2 * sums["tp"] / both) if both else np.nan
