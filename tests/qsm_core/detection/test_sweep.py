"""A sweep gives what single passes give, and the threshold of dev is the best one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from qsm_core.detection.events.finding import find_events
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.metrics.counting import compare
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.metrics.rates import summary
from qsm_core.detection.metrics.sweep import (
    best_setting,
    grid,
    recall_by_recording,
    sweep,
    thresholds_of,
)
from qsm_core.detection.recordings import as_annotations, no_annotations
from qsm_core.detection.tracks import ScoreTrack, TrackInfo
from qsm_core.errors import DataError

INFO = TrackInfo("a.b", "hum", 100, 6000, 0, 5, 20, "net", "d", "s")


def make() -> tuple[list[ScoreTrack], pd.DataFrame]:
    """Return two tracks of a minute whose scores rise at ten calls, and the calls."""
    rng = np.random.default_rng(5)
    tracks, rows = [], []
    for name in ("a.b", "a.c"):
        logit = rng.normal(-3, 1, size=1197)
        for begin in range(300, 5800, 550):
            logit[begin // 5 - 2 : (begin + 100) // 5 - 1] += rng.uniform(3, 7)
            rows.append((name, begin / 100, (begin + 100) / 100, "hum"))
        tracks.append(ScoreTrack(replace(INFO, recording_id=name), logit.astype(np.float32)))
    frame = pd.DataFrame(rows, columns=["recording_id", "begin_s", "end_s", "label"])
    return tracks, as_annotations(frame)


def test_a_sweep_equals_single_passes() -> None:
    tracks, truth = make()
    settings = grid(EventSettings(min_duration_s=0.2), [-1.0, 0.0, 1.0], [None, 0.1])
    found = sweep(tracks, truth, settings, Overlap(0.3))
    for number, each in enumerate(settings):
        alone = summary(compare(truth, find_events(tracks, each), Overlap(0.3)))
        row = found.overall.iloc[number]
        assert all(row[name] == alone[name] for name in ("tp", "fp", "fn", "f1"))
    recall = recall_by_recording(found)
    assert recall.shape == (2, 6)
    assert recall.loc["a.b", 0] == pytest.approx(
        found.counts.query("setting == 0 and recording_id == 'a.b'").eval("tp / n_truth").item()
    )


def test_the_chosen_threshold_is_the_best_of_those_tried() -> None:
    tracks, truth = make()
    thresholds = thresholds_of(tracks, 40)
    assert thresholds == sorted(set(thresholds))
    settings = grid(EventSettings(0.0, low_threshold=-1.0), thresholds)
    assert all(each.threshold - each.low_threshold == pytest.approx(1) for each in settings)
    found = sweep(tracks, truth, settings, Overlap(0.3))
    chosen = sweep(tracks, truth, [best_setting(found)], Overlap(0.3))
    assert chosen.overall["f1"].item() == found.overall["f1"].max() > 0.9


def test_without_annotations_and_detections_there_is_nothing_to_choose() -> None:
    tracks, _ = make()
    found = sweep(tracks, no_annotations(), grid(EventSettings(), [99.0]), Overlap(0.3))
    with pytest.raises(DataError, match="dev groups have no annotation"):
        best_setting(found)
    assert thresholds_of([]) == []
