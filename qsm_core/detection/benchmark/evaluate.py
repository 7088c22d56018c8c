"""The stage "benchmark_detectors": what the score tracks of all detectors say about them.

    python -m qsm_core.detection.benchmark.evaluate --spec spec.json

Inputs: `recordings` (the prepared set, with its splits), the dataset variants that put groups into
several splits (`variant_<variant>`), and for each detector its folder of tracks, `tracks_<name>`,
or the events that another program found, `found_<name>`. Threshold and post-processing are chosen
on dev groups; test groups are looked at with them once. The sweep over thresholds on test is shown
as well and chooses nothing.

Output, all of it tables: settings, results (rates with intervals), differences (paired), further,
notes, fixed_variants, sweep, sweep_by_recording, by_recording, by_quality, boundary_errors,
reliability; metrics.csv and metrics_per_tape.csv with the columns of ANIMAL-SPOT-alpaca;
`detections/`, the events found in test, one table a detector; truth.parquet, the annotations of
test; and `examples.parquet`, the hits, misses and false alarms that a report shows. With a second
stage each detector has a second row, `<name>_postrf`, and `second_stages/<name>` holds what its
forest is grown of.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pandas as pd

from qsm_core.detection.benchmark.choice import choose
from qsm_core.detection.benchmark.config import (
    ANY_LABEL,
    TRACKS_INPUT,
    VARIANT_INPUT,
    Benchmark,
)
from qsm_core.detection.benchmark.detections import Detections, TrackDetections
from qsm_core.detection.benchmark.filtering import (
    SplitEvents,
    UnfittedError,
    behind_second_stage,
)
from qsm_core.detection.benchmark.fixed_variants import fixed_variants
from qsm_core.detection.benchmark.measured import Measured, measure
from qsm_core.detection.benchmark.opening import SPLITS_USED, detections_of
from qsm_core.detection.benchmark.own_test import own_test_row
from qsm_core.detection.benchmark.tables import Compared, layers_of, reliability, tables_of
from qsm_core.detection.kept_tracks import TRACKS
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.seed_tables import seed_tables
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import Recording, RecordingSet
from qsm_core.detection.tracks import read_tracks
from qsm_core.detection.variants.index import clips_of
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

DETECTIONS = "detections"
SECOND_STAGES = "second_stages"


def run(context: StageContext) -> dict[str, Any]:
    """Measure the detectors and return the headline numbers of the best one on dev.

    Raises:
        DataError: Dev or test holds no event, or a recording has no track of some detector.
    """
    config = parse_config(Benchmark, context.config)
    prepared = read_prepared(context.inputs["recordings"])
    truth = {split: annotations_of(prepared, split, config.label) for split in SPLITS_USED}
    compared = Compared()
    filters = SecondStages(context, config)
    for number, entrant in enumerate(config.entrants):
        split, notes = detections_of(context, prepared, entrant)
        choice = choose(split["dev"], truth["dev"], Overlap(config.iou))
        one = measure(entrant, choice, split["test"], truth["test"], config)
        compared.add(one, [(entrant.name, note) for note in notes])
        if isinstance(split["dev"], TrackDetections):
            compared.calibration.append(reliability(entrant, split, truth))
        if config.second_stage:
            compared.add(*filters.behind(one, split, truth))
        context.report(number + 1, len(config.entrants), "detectors measured")
    fixed, fixed_layers, unmeasured = fixed_variants(compared.unfiltered, truth["test"], config)
    compared.notes += unmeasured
    own = _own_tests(context, config, prepared, truth["test"])
    tables = {
        "own_test": own,
        "fixed_variants": fixed,
        "notes": pd.DataFrame(compared.notes, columns=["detector", "note"]),
    } | tables_of(compared, truth["test"], prepared, config)
    for name, table in tables.items():
        table.to_parquet(context.out / f"{name}.parquet", index=False)
    layers = [*layers_of(compared.measured), *fixed_layers]
    whole, each = seed_tables(
        truth["test"].assign(label=ANY_LABEL), layers, compared.measured[0].names
    )
    whole.to_csv(context.out / "metrics.csv", index=False)
    each.to_csv(context.out / "metrics_per_tape.csv", index=False)
    (context.out / DETECTIONS).mkdir()
    for one in compared.measured:
        one.found.to_parquet(context.out / DETECTIONS / f"{one.entrant.name}.parquet", index=False)
    truth["test"].to_parquet(context.out / "truth.parquet", index=False)
    return _summary(tables, compared.measured)


class SecondStages:
    """Fits the second stage of each detector."""

    def __init__(self, context: StageContext, config: Benchmark) -> None:
        self._context, self._config = context, config

    @cached_property
    def _recordings(self) -> dict[str, Recording]:
        audio = self._context.runtime.get("audio")
        found = read_prepared(self._context.inputs["recordings"], audio=audio)
        return {one.recording_id: one for one in found.listed()}

    def behind(
        self, one: Measured, split: Mapping[str, Detections], truth: Mapping[str, pd.DataFrame]
    ) -> tuple[Measured | None, list[tuple[str, str]]]:
        """Return a detector behind its second stage; none and a note where it cannot have one."""
        dev, test = (SplitEvents(split[name], truth[name]) for name in SPLITS_USED)
        folder = self._context.out / SECOND_STAGES / one.entrant.name
        try:
            return behind_second_stage(one, dev, test, self._recordings, self._config, folder), []
        except UnfittedError as error:
            return None, [(one.entrant.name, f"no second stage: {error}")]


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
        folder = context.inputs[TRACKS_INPUT + entrant.name] / TRACKS
        tracks = {track.info.recording_id: track for track in read_tracks(folder)}
        clips = {split: clips_of(variant, split) for split in ("val", "test")}
        seed = config.resampling.seed
        rows.append(own_test_row(entrant.name, clips, tracks, unseen, prepared.annotations, seed))
    columns = ["detector", "own_f1", "unseen_f1", "own_clips", "unseen_clips"]
    return pd.DataFrame(rows, columns=columns)


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
