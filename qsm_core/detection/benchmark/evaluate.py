"""The stage "benchmark_detectors": what the score tracks of all detectors say about them.

    python -m qsm_core.detection.benchmark.evaluate --spec spec.json

Inputs: `recordings` (the prepared set, with its splits), the dataset variants that put groups into
several splits (`variant_<variant>`), and one folder of tracks a detector,
`tracks_<name>`. Threshold and post-processing are chosen on dev groups; test groups are looked at
with them once. The sweep over thresholds on test is shown as well and chooses nothing.

Output, all of it tables: settings, results (rates with intervals), differences (paired), further,
sweep, sweep_by_recording, by_recording, by_quality, boundary_errors, reliability; metrics.csv and
metrics_per_tape.csv with the columns of ANIMAL-SPOT-alpaca; `detections/`, the events found in
test, one table a detector; truth.parquet, the annotations of test; and `examples.parquet`, the
hits, misses and false alarms that a report shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qsm_core.detection.benchmark.choice import choose_settings
from qsm_core.detection.benchmark.config import (
    TRACKS_INPUT,
    VARIANT_INPUT,
    Benchmark,
    Entrant,
)
from qsm_core.detection.benchmark.examples import choose_examples
from qsm_core.detection.benchmark.measured import (
    Measured,
    boundary_rows,
    durations_of,
    further_row,
    measure,
    quality_rows,
    settings_row,
    sweep_rows,
    windows_of,
)
from qsm_core.detection.benchmark.own_test import own_test_row
from qsm_core.detection.metrics.frame_truth import fit_platt
from qsm_core.detection.metrics.intervals import rates_with_intervals
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.rates import by_recording
from qsm_core.detection.metrics.seed_tables import Layer, seed_tables, variant_tag
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import RecordingSet
from qsm_core.detection.tracks import ScoreTrack, read_track, read_tracks, track_file_name
from qsm_core.detection.variants.index import clips_of
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

ANY_LABEL = "event"
DETECTIONS = "detections"
_TRACKS = "tracks"


def run(context: StageContext) -> dict[str, Any]:
    """Measure the detectors and return the headline numbers of the best one on dev.

    Raises:
        DataError: Dev or test holds no event, or a recording has no track of some detector.
    """
    config = parse_config(Benchmark, context.config)
    prepared = read_prepared(context.inputs["recordings"])
    truth = {split: annotations_of(prepared, split, config.label) for split in ("dev", "test")}
    measured: list[Measured] = []
    sweeps: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    calibration: list[pd.DataFrame] = []
    for number, entrant in enumerate(config.entrants):
        folder = context.inputs[TRACKS_INPUT + entrant.name]
        tracks = {split: _tracks(prepared, folder, split, entrant) for split in ("dev", "test")}
        choice = choose_settings(tracks["dev"], truth["dev"], Overlap(config.iou))
        measured.append(measure(entrant, choice, tracks["test"], truth["test"], config))
        sweeps.append(sweep_rows(entrant, choice.settings, tracks["test"], truth["test"], config))
        calibration.append(_reliability(entrant, tracks, truth))
        context.report(number + 1, len(config.entrants), "detectors measured")
    own = _own_tests(context, config, prepared, truth["test"])
    tables = {"own_test": own} | _tables(
        measured, sweeps, calibration, truth["test"], prepared, config
    )
    for name, table in tables.items():
        table.to_parquet(context.out / f"{name}.parquet", index=False)
    layers = [_layer(one) for one in measured]
    whole, each = seed_tables(
        truth["test"].assign(label=ANY_LABEL), layers, durations_of(measured[0].tracks)
    )
    whole.to_csv(context.out / "metrics.csv", index=False)
    each.to_csv(context.out / "metrics_per_tape.csv", index=False)
    (context.out / DETECTIONS).mkdir()
    for one in measured:
        one.found.to_parquet(context.out / DETECTIONS / f"{one.entrant.name}.parquet", index=False)
    truth["test"].to_parquet(context.out / "truth.parquet", index=False)
    return _summary(tables, measured)


def annotations_of(prepared: RecordingSet, split: str, label: str | None) -> pd.DataFrame:
    """Return the annotations of a split that a detector has to find, all under one label.

    Raises:
        DataError: There is none.
    """
    recordings = prepared.recordings
    names = recordings.loc[recordings["split"] == split, "recording_id"]
    events = prepared.annotations
    own = events[events["recording_id"].isin(names)]
    if label is not None:
        own = own[own["label"] == label]
    if own.empty:
        labels = ", ".join(sorted(set(prepared.annotations["label"]))) or "none"
        wanted = "event" if label is None else f"event labelled {label!r}"
        problem = f"{split}: holds no {wanted}; the labels of all recordings are {labels}"
        raise DataError("the detectors cannot be measured", [problem])
    return own.assign(label=label or ANY_LABEL).reset_index(drop=True)


def _own_tests(
    context: StageContext, config: Benchmark, prepared: RecordingSet, unseen: pd.DataFrame
) -> pd.DataFrame:
    """Return how detectors do on their variant's own test split and on unseen groups."""
    rows = []
    for entrant in config.entrants:
        variant = context.inputs.get(f"{VARIANT_INPUT}{entrant.variant}")
        if variant is None:
            continue
        folder = context.inputs[TRACKS_INPUT + entrant.name] / _TRACKS
        tracks = {track.info.recording_id: track for track in read_tracks(folder)}
        clips = {split: clips_of(variant, split) for split in ("val", "test")}
        seed = config.resampling.seed
        rows.append(own_test_row(entrant.name, clips, tracks, unseen, prepared.annotations, seed))
    columns = ["detector", "own_f1", "unseen_f1", "own_clips", "unseen_clips"]
    return pd.DataFrame(rows, columns=columns)


def _tracks(prepared: RecordingSet, folder: Path, split: str, entrant: Entrant) -> list[ScoreTrack]:
    recordings = prepared.recordings
    names = recordings.loc[recordings["split"] == split, "recording_id"]
    paths = [folder / _TRACKS / track_file_name(str(name)) for name in names]
    missing = [
        f"{name}: {entrant.title} could not score it; see failed.csv in {folder}"
        for name, path in zip(names, paths, strict=True)
        if not path.is_file()
    ]
    if missing:
        raise DataError(
            "the detectors cannot be compared on the same recordings; mend the files, or leave "
            "them "
            "out of the data",
            missing,
        )
    return [read_track(path) for path in paths]


def _tables(
    measured: list[Measured],
    sweeps: list[tuple[pd.DataFrame, pd.DataFrame]],
    calibration: list[pd.DataFrame],
    truth: pd.DataFrame,
    prepared: RecordingSet,
    config: Benchmark,
) -> dict[str, pd.DataFrame]:
    groups = dict(
        zip(prepared.recordings["recording_id"], prepared.recordings["group_id"], strict=True)
    )
    counts = {one.entrant.name: one.compared.counts for one in measured}
    results, differences = rates_with_intervals(counts, groups, config.resampling)
    each = [
        by_recording(one.compared.counts, durations_of(one.tracks)).assign(
            detector=one.entrant.name
        )
        for one in measured
    ]
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
        "reliability": pd.concat(calibration, ignore_index=True),
        "examples": choose_examples(measured, truth, config.examples),
    }


def _reliability(
    entrant: Entrant, tracks: dict[str, list[ScoreTrack]], truth: dict[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return how often windows of test hold an event, by the probability scaled on dev."""
    platt = fit_platt(*windows_of(tracks["dev"], truth["dev"]))
    logit, inside = windows_of(tracks["test"], truth["test"])
    probability = platt.probability(logit)
    bins = np.minimum((probability * 10).astype(int), 9)
    table = pd.DataFrame({"bin": bins, "predicted": probability, "observed": inside})
    sums = table.groupby("bin").agg(
        windows=("observed", "size"), predicted=("predicted", "mean"), observed=("observed", "mean")
    )
    return sums.reset_index().assign(
        detector=entrant.name, slope=platt.slope, intercept=platt.intercept
    )


def _layer(one: Measured) -> Layer:
    track = one.tracks[0].info
    probability = 1 / (1 + np.exp(-one.choice.settings.threshold))
    tag = variant_tag(
        track.window_samples / track.sample_rate_hz,
        track.hop_samples / track.sample_rate_hz,
        float(probability),
    )
    return Layer(one.entrant.name, tag, "evaluation", one.found.assign(label=ANY_LABEL))


def _summary(tables: dict[str, pd.DataFrame], measured: list[Measured]) -> dict[str, Any]:
    best = max(measured, key=lambda one: one.choice.f1)
    f1 = tables["results"].query("metric == 'f1'").set_index("detector")["value"]
    return {
        "best_on_dev": best.entrant.name,
        "dev_f1": best.choice.f1,
        "test_f1": float(f1[best.entrant.name]),
        "detectors": len(measured),
        "test_events": int(tables["further"]["n_truth"].iloc[0]),
    }


if __name__ == "__main__":
    run_entry(run)
