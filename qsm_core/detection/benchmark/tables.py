"""What was measured in a benchmark, as the tables that it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from qsm_core.detection.benchmark.config import ANY_LABEL, Benchmark, Entrant
from qsm_core.detection.benchmark.detections import Detections, TrackDetections
from qsm_core.detection.benchmark.examples import choose_examples
from qsm_core.detection.benchmark.measured import (
    Measured,
    boundary_rows,
    further_row,
    quality_rows,
    settings_row,
    sweep_rows,
    windows_of,
)
from qsm_core.detection.metrics.frame_truth import fit_platt
from qsm_core.detection.metrics.intervals import rates_with_intervals
from qsm_core.detection.metrics.rates import by_recording
from qsm_core.detection.metrics.seed_tables import Layer, found_tag, variant_tag
from qsm_core.detection.recordings import RecordingSet


@dataclass
class Compared:
    """What was measured.

    Attributes:
        measured: Every detector, each followed by itself behind its second stage.
        calibration: Reliability of each detector with score tracks.
        notes: Names of detectors, and what a reader should know of them.
    """

    measured: list[Measured] = field(default_factory=list)
    calibration: list[pd.DataFrame] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def add(self, one: Measured | None, notes: Sequence[tuple[str, str]]) -> None:
        """Add a detector, if it could be measured, and what is to be known of it."""
        if one is not None:
            self.measured.append(one)
        self.notes += notes

    @property
    def unfiltered(self) -> list[Measured]:
        """The detectors themselves."""
        return [one for one in self.measured if one.unfiltered is None]


def tables_of(
    compared: Compared, truth: pd.DataFrame, prepared: RecordingSet, config: Benchmark
) -> dict[str, pd.DataFrame]:
    """Return the tables of all detectors by name."""
    groups = dict(
        zip(prepared.recordings["recording_id"], prepared.recordings["group_id"], strict=True)
    )
    measured, unfiltered = compared.measured, compared.unfiltered
    counts = {one.entrant.name: one.compared.counts for one in measured}
    # Each detector with the one before it, and each second stage with the detector itself.
    pairs = [
        *pairwise(one.entrant.name for one in unfiltered),
        *((one.unfiltered.name, one.entrant.name) for one in measured if one.unfiltered),
    ]
    results, differences = rates_with_intervals(counts, groups, config.resampling, pairs)
    each = [
        by_recording(one.compared.counts, one.detections.durations).assign(
            detector=one.entrant.name
        )
        for one in measured
    ]
    sweeps = [sweep_rows(one, truth, config) for one in unfiltered]
    return {
        "settings": pd.DataFrame([settings_row(one) for one in measured]),
        "tried": pd.concat(
            [one.choice.tried.assign(detector=one.entrant.name) for one in measured]
        ),
        "results": results,
        "differences": differences,
        "further": pd.DataFrame([further_row(one, truth, config) for one in measured]),
        "sweep": pd.concat([overall for overall, _ in sweeps], ignore_index=True),
        "sweep_by_recording": pd.concat([each for _, each in sweeps], ignore_index=True),
        "by_recording": pd.concat(each, ignore_index=True),
        "by_quality": pd.concat([quality_rows(one, truth) for one in measured], ignore_index=True),
        "boundary_errors": pd.concat(
            [boundary_rows(one, truth) for one in measured], ignore_index=True
        ),
        "reliability": pd.concat(compared.calibration, ignore_index=True),
        "examples": choose_examples(unfiltered, truth, config.examples),
    }


def reliability(
    entrant: Entrant, split: Mapping[str, Detections], truth: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return how often windows of test hold an event, by the probability scaled on dev."""
    windows = {
        name: windows_of(one.tracks, truth[name])
        for name, one in split.items()
        if isinstance(one, TrackDetections)
    }
    platt = fit_platt(*windows["dev"])
    logit, inside = windows["test"]
    probability = platt.probability(logit)
    bins = np.minimum((probability * 10).astype(int), 9)
    table = pd.DataFrame({"bin": bins, "predicted": probability, "observed": inside})
    sums = table.groupby("bin").agg(
        windows=("observed", "size"), predicted=("predicted", "mean"), observed=("observed", "mean")
    )
    return sums.reset_index().assign(
        detector=entrant.name, slope=platt.slope, intercept=platt.intercept
    )


def layers_of(measured: Sequence[Measured]) -> list[Layer]:
    """Return the detections of all detectors as layers of metrics.csv.

    A second stage that sorted other detections than the detector's own brings these along, so that
    each row of `postrf` has one of `evaluation` beside it, with the same name of its settings.
    """
    layers: dict[tuple[str, str], Layer] = {}
    filtered = []
    for one in measured:
        tag, found = _tag(one), one.found.assign(label=ANY_LABEL)
        if one.unfiltered is None:
            layers[one.entrant.name, tag] = Layer(one.entrant.name, tag, "evaluation", found)
            continue
        name = one.unfiltered.name
        filtered.append(Layer(name, tag, "postrf", found))
        if one.before is not None:
            before = one.before.assign(label=ANY_LABEL)
            layers.setdefault((name, tag), Layer(name, tag, "evaluation", before))
    return [*layers.values(), *filtered]


def _tag(one: Measured) -> str:
    """Return the window, hop and threshold of a detector, as far as it has them."""
    settings = one.choice.settings
    probability = None if settings is None else float(1 / (1 + np.exp(-settings.threshold)))
    if probability is None or not isinstance(one.detections, TrackDetections):
        return found_tag(probability)
    track = one.detections.tracks[0].info
    return variant_tag(
        track.window_samples / track.sample_rate_hz,
        track.hop_samples / track.sample_rate_hz,
        probability,
    )
