"""Perfect and silent detectors, by every metric: whatever is annotated, and without a warning."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.fewshot import few_shot_score
from qsm_core.detection.metrics.intervals import rates_with_intervals
from qsm_core.detection.metrics.matching import Collar, Criterion, Overlap
from qsm_core.detection.metrics.psds import PsdsSettings, intersections, macro_f1, psds
from qsm_core.detection.metrics.ranking import rank
from qsm_core.detection.metrics.rates import (
    by_recording,
    count_correlations,
    recall_by_quality,
    summary,
)
from qsm_core.detection.metrics.resampling import Resampling
from qsm_core.detection.metrics.seed_tables import Layer, seed_tables
from qsm_core.detection.metrics.segments import event_error_rate, segment_counts
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import as_annotations, as_detections, no_detections
from tests.support.detection_tracks import benchmark, write_tracks
from tests.support.recordings import write_tones

# Names that differ behind a dot, and one of a recording without an event.
NAMES = ("tape.05.23", "tape.05.24", "tape.05")
SILENT = "tape.06"
# Events that touch, overlap, lie in one another, or are there twice.
marks = st.tuples(
    st.sampled_from(NAMES), st.integers(0, 30), st.integers(1, 12), st.sampled_from(["hum", "bark"])
)
annotated = st.lists(marks, min_size=1, max_size=15).map(
    lambda rows: as_annotations(
        pd.DataFrame(
            [
                {
                    "recording_id": name,
                    "begin_s": begin / 4,
                    "end_s": (begin + length) / 4,
                    "label": label,
                    "quality": 1 + length % 3,
                }
                for name, begin, length, label in rows
            ]
        )
    )
)
CRITERIA: tuple[Criterion, ...] = (Overlap(0.3), Overlap(0.5), Overlap(0.9), Collar(0.1, 0.1, 0.2))


def scored(events: pd.DataFrame) -> pd.DataFrame:
    """Return annotations as detections, with scores that are not all equal."""
    return as_detections(events.assign(score=np.arange(len(events)) % 4 - 1.5))


@given(annotated, st.sampled_from(CRITERIA), st.booleans())
@settings(max_examples=60)
def test_counts_of_perfect_and_of_silent_detectors(
    truth: pd.DataFrame, criterion: Criterion, greedy: bool
) -> None:
    names = [*NAMES, SILENT]
    for found, value in ((scored(truth), 1), (no_detections(), 0)):
        compared = compare(truth, found, criterion, recordings=names, greedy=greedy)
        values = summary(compared)
        assert [values[name] for name in ("precision", "recall", "f1")] == [value] * 3
        each = by_recording(compared.counts, dict.fromkeys(names, 60.0)).set_index("recording_id")
        assert list(each.index) == sorted(names)
        annotated_names = truth["recording_id"].unique()
        assert (each.loc[annotated_names, "f1"] == value).all()
        assert np.isnan(each.loc[SILENT, ["precision", "recall", "f1"]].astype(float)).all()
        assert recall_by_quality(truth, compared)["recall"].eq(value).all()
        count_correlations(compared.counts)
    assert rank(truth, scored(truth), criterion).average_precision == pytest.approx(1)
    assert rank(truth, no_detections(), criterion).average_precision == 0


@given(annotated, st.sampled_from([0.1, 0.3, 1.0]))
@settings(max_examples=40)
def test_segments_of_perfect_and_of_silent_detectors(truth: pd.DataFrame, length_s: float) -> None:
    for found, wrong in ((scored(truth), 0), (no_detections(), 1)):
        counts, rate = segment_counts(truth, found, length_s)
        assert counts["tp"].sum() == (1 - wrong) * counts["n_truth"].sum()
        assert rate.total == wrong
        collar = Collar(0.1, 0.1)
        assert event_error_rate(truth, found, compare(truth, found, collar), collar).total == wrong


@given(annotated)
@settings(max_examples=40)
def test_intersections_of_perfect_and_of_silent_detectors(truth: pd.DataFrame) -> None:
    how = PsdsSettings(0.5, 0.5, alpha_st=0.0)
    perfect, silent = (intersections(truth, each, how) for each in (scored(truth), no_detections()))
    assert (macro_f1(perfect)[0], macro_f1(silent)[0]) == (1, 0)
    assert psds([perfect], 60.0, how) == pytest.approx(1)
    assert psds([silent], 60.0, how) == 0


@given(annotated)
@settings(max_examples=8)
def test_few_shots_and_tables_of_perfect_and_of_silent_detectors(truth: pd.DataFrame) -> None:
    subsets = dict.fromkeys(NAMES, "A")
    for found, value in ((scored(truth), 1), (no_detections(), 0)):
        score = few_shot_score(truth, found, subsets, shots=0)
        assert score.f1 == pytest.approx(value, abs=1e-4)
        layers = [Layer("one", "tag", "evaluation", found)]
        whole, each = seed_tables(truth, layers, [*NAMES, SILENT])
        assert whole["f1"].tolist() == [value]
        assert sorted(each["tape"]) == sorted([*NAMES, SILENT])


@given(annotated)
@settings(max_examples=10)
def test_intervals_of_perfect_and_of_silent_detectors(truth: pd.DataFrame) -> None:
    names = [*NAMES, SILENT]
    counts = {
        name: compare(truth, found, Overlap(0.3), recordings=names).counts
        for name, found in (("perfect", scored(truth)), ("silent", no_detections()))
    }
    tables = {name: by_recording(each, {}) for name, each in counts.items()}
    groups = {name: name for name in names}
    rated, compared = rates_with_intervals(tables, groups, Resampling(num_resamples=100))
    f1 = rated[rated["metric"] == "f1"].set_index("detector")["value"]
    assert (f1["perfect"], f1["silent"]) == (1, 0)
    assert (compared["difference"].abs() == 1).all()


def test_a_benchmark_with_a_silent_tape_and_events_that_touch_and_overlap(tmp_path: Path) -> None:
    recordings = write_tones(tmp_path / "tones", ("train", "dev", "dev", "test", "test", "test"))
    table = pd.read_csv(recordings / "annotations.csv")
    table = table[~table["recording_id"].isin(["rec2", "rec4"])]  # one of dev, and one of test
    own = table[table["recording_id"] == "rec3"]
    touching = own.assign(begin_s=own["end_s"], end_s=own["end_s"] + 0.2)
    pd.concat([table, touching]).to_csv(recordings / "annotations.csv", index=False)
    assert len(read_prepared(recordings).annotations) > len(table)
    tracks = write_tracks(recordings, tmp_path / "tracks", 3.0)
    silent = write_tracks(recordings, tmp_path / "silent", -3.0)
    tables = benchmark(recordings, tmp_path / "run", {"hearing": tracks, "silent": silent})
    results = tables["results"].set_index(["detector", "metric"])["value"]
    # Two events that touch are one detection: half of those annotated in rec3 can be found.
    assert 0.5 < results["hearing", "f1"] < 1
    assert results["silent", "f1"] == 0
    each = tables["by_recording"].set_index(["detector", "recording_id"])
    assert each.loc[("hearing", "rec4"), "n_truth"] == 0
    assert each.loc[("hearing", "rec5"), "f1"] == 1
    shutil.rmtree(tmp_path / "run")
