"""Detectors measured from tracks made by hand: perfect ones, silent ones, and a choice on dev."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from qsm_core.detection.benchmark.choice import choose_settings
from qsm_core.detection.benchmark.own_test import own_test_row
from qsm_core.detection.divide import divide
from qsm_core.detection.metrics.matching import Overlap
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.recordings import as_annotations, as_recordings
from qsm_core.detection.synthetic_config import Division
from qsm_core.detection.tracks import ScoreTrack, read_track, write_track
from qsm_core.errors import DataError
from tests.support.detection_tracks import HOP, benchmark, write_tracks
from tests.support.recordings import RATE_HZ, write_tones

SPLITS = ("train", "dev", "test", "test")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones"), SPLITS)


def test_perfect_detections_give_one_and_none_give_zero(recordings: Path, tmp_path: Path) -> None:
    perfect = write_tracks(recordings, tmp_path / "perfect", 3.0)
    silent = write_tracks(recordings, tmp_path / "silent", -3.0)
    tables = benchmark(recordings, tmp_path / "run", {"perfect": perfect, "silent": silent})
    results = tables["results"].set_index(["detector", "metric"])["value"]
    for rate in ("precision", "recall", "f1"):
        assert results["perfect", rate] == 1
        assert results["silent", rate] == 0
    further = tables["further"].set_index("detector")
    assert further["average_precision"]["perfect"] == 1
    assert further["n_found"]["silent"] == 0
    assert further["f1_iou0.5"]["perfect"] == 1
    errors = tables["boundary_errors"]
    assert set(errors["detector"]) == {"perfect"}
    assert errors[["onset_error_s", "offset_error_s"]].abs().to_numpy().max() <= HOP / RATE_HZ
    sweep = tables["sweep"].set_index(["detector", "threshold"])["f1"]
    assert all(sweep["perfect", threshold] == 1 for threshold in (0.1, 0.5, 0.9))
    examples = tables["examples"]
    assert set(examples.loc[examples["detector"] == "perfect", "outcome"]) == {"hit"}
    assert set(examples.loc[examples["detector"] == "silent", "outcome"]) == {"miss"}
    metrics = pd.read_csv(tmp_path / "run" / "out" / "metrics.csv").set_index("model")
    assert metrics["f1"]["perfect"] == 1
    tapes = pd.read_csv(tmp_path / "run" / "out" / "metrics_per_tape.csv")
    assert set(tapes["tape"]) == {"rec2", "rec3"}


def test_thresholds_come_from_dev_alone(recordings: Path, tmp_path: Path) -> None:
    """Scores of test are shifted: what is chosen does not follow."""
    plain = write_tracks(recordings, tmp_path / "plain", 2.0, noise=0.5)
    shifted = write_tracks(recordings, tmp_path / "shifted", 2.0, noise=0.5)
    for name in ("rec2", "rec3"):
        path = shifted / "tracks" / f"{name}.parquet"
        track = read_track(path)
        write_track(path.parent, ScoreTrack(track.info, track.logit - 10))
    tables = benchmark(recordings, tmp_path / "run", {"plain": plain, "shifted": shifted})
    settings = tables["settings"].set_index("detector")
    columns = ["threshold", "min_duration_s", "max_gap_s", "dev_f1"]
    assert settings.loc["plain", columns].tolist() == settings.loc["shifted", columns].tolist()
    results = tables["results"].set_index(["detector", "metric"])["value"]
    assert results["plain", "f1"] > 0.9
    assert results["shifted", "f1"] == 0


def test_of_equal_thresholds_the_middle_is_taken(recordings: Path, tmp_path: Path) -> None:
    tracks = [
        read_track(path)
        for path in sorted((write_tracks(recordings, tmp_path, 3.0) / "tracks").iterdir())
    ]
    events = read_prepared(recordings).annotations.assign(label="event")
    choice = choose_settings(tracks, events, Overlap(0.3))
    assert choice.f1 == 1
    assert abs(choice.settings.threshold) <= 0.5
    with pytest.raises(DataError, match="dev: holds no event"):
        choose_settings(tracks, events.iloc[:0], Overlap(0.3))


def test_a_recording_without_a_track_is_named(recordings: Path, tmp_path: Path) -> None:
    tracks = write_tracks(recordings, tmp_path / "tracks", 3.0)
    (tracks / "tracks" / "rec3.parquet").unlink()
    with pytest.raises(DataError, match=r"rec3: Some could not score it"):
        benchmark(recordings, tmp_path / "run", {"some": tracks})


def test_own_clips_and_unseen_ones_are_asked_the_same(recordings: Path, tmp_path: Path) -> None:
    folder = write_tracks(recordings, tmp_path, 3.0) / "tracks"
    tracks = {path.stem: read_track(path) for path in folder.iterdir()}
    events = read_prepared(recordings).annotations
    rows = events[events["recording_id"].isin(["rec0", "rec1"])]
    calls = rows.rename(columns={"begin_s": "start_s", "end_s": "end_s"}).assign(
        **{"class": "target"}
    )
    noise = calls.assign(start_s=calls["start_s"] + 0.5, end_s=calls["end_s"] + 0.5)
    clips = pd.concat([calls, noise.assign(**{"class": "noise"})])
    unseen = events[events["recording_id"].isin(["rec2", "rec3"])]
    row = own_test_row("made", {"val": clips, "test": clips}, tracks, unseen, events, seed=0)
    assert (row["own_f1"], row["unseen_f1"]) == (1, 1)
    assert row["own_clips"] == len(clips)
    assert row["unseen_clips"] == 2 * len(unseen)


def _set(groups: dict[str, int]) -> tuple[pd.DataFrame, pd.DataFrame]:
    recordings = as_recordings(
        pd.DataFrame({"recording_id": list(groups), "group_id": list(groups), "path": list(groups)})
    )
    events = as_annotations(
        pd.DataFrame(
            [
                {"recording_id": name, "begin_s": n, "end_s": n + 0.5, "label": "call"}
                for name, count in groups.items()
                for n in range(count)
            ]
        )
    )
    return recordings, events


def test_groups_are_divided_whole_and_each_split_has_events() -> None:
    recordings, events = _set({f"g{n}": 10 * (n < 6) for n in range(9)})
    for seed in range(20):
        divided = divide(recordings, events, Division(seed=seed))
        with_events = divided[divided["recording_id"].isin(events["recording_id"])]
        assert set(with_events["split"]) == {"train", "dev", "test"}
        assert divided["split"].notna().all()


def test_divisions_that_cannot_be_are_refused() -> None:
    recordings, events = _set({"a": 3, "b": 3, "c": 0})
    with pytest.raises(DataError, match="groups: 2 with events"):
        divide(recordings, events, Division())
    given = recordings.assign(split=["train", "dev", None])
    with pytest.raises(DataError, match="c: has no split"):
        divide(given, events, Division())
    crossing = recordings.assign(group_id=["g", "g", "h"], split=["train", "test", "dev"])
    with pytest.raises(DataError, match="group 'g': lies in test and train"):
        divide(crossing, events, Division())
    assert math.isclose(Division().dev + Division().test, 0.45)
