"""Second rows of a detector: behind its second stage, and at settings that were fixed elsewhere."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from qsm_core.detection.benchmark.config import FixedVariant
from qsm_core.detection.prepared import read_prepared
from qsm_core.detection.second_stage.forest import EventFilter
from qsm_core.detection.tracks import ScoreTrack, read_track, write_track
from tests.support.detection_tracks import HOP, benchmark, write_tracks
from tests.support.recordings import RATE_HZ, write_tones

SPLITS = ("train", "dev", "dev", "test", "test")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones"), SPLITS, seconds=24.0)


@pytest.fixture(scope="module")
def alarms(recordings: Path) -> dict[str, list[float]]:
    """Places a little behind each tone, where there is noise alone."""
    events = read_prepared(recordings).annotations
    return {
        str(name): (own["begin_s"] + 0.6).tolist() for name, own in events.groupby("recording_id")
    }


def test_the_second_stage_is_fitted_on_dev_and_measured_on_test(
    recordings: Path, alarms: dict[str, list[float]], tmp_path: Path
) -> None:
    eager = write_tracks(recordings, tmp_path / "eager", 3.0, also=alarms)
    exact = write_tracks(recordings, tmp_path / "exact", 3.0)
    tracks = {"eager": eager, "exact": exact}
    tables = benchmark(recordings, tmp_path / "run", tracks, second_stage=True)
    value = tables["results"].set_index(["detector", "metric"])["value"]
    assert value["eager", "precision"] == 0.5
    assert value["eager_postrf", "f1"] > 0.95
    differences = tables["differences"].set_index(["first", "second", "metric"])
    assert differences["difference"]["eager", "eager_postrf", "precision"] > 0.45
    # There is nothing to learn from a detector without false alarms.
    assert "exact_postrf" not in set(tables["results"]["detector"])
    (note,) = tables["notes"].query("detector == 'exact'")["note"]
    assert note.startswith("no second stage: ")
    metrics = pd.read_csv(tmp_path / "run/out/metrics.csv")
    assert metrics[["model", "layer"]].values.tolist() == [
        *(["eager", "evaluation"], ["exact", "evaluation"], ["eager", "postrf"])
    ]
    tapes = pd.read_csv(tmp_path / "run/out/metrics_per_tape.csv")
    assert tapes.query("layer == 'postrf'")["tape"].tolist() == ["rec3", "rec4"]
    assert len(pd.read_parquet(tmp_path / "run/out/detections/eager_postrf.parquet"))
    EventFilter.load(tmp_path / "run/out/second_stages/eager")


def test_the_second_stage_is_chosen_without_test(
    recordings: Path, alarms: dict[str, list[float]], tmp_path: Path
) -> None:
    """Test recordings without a detection: what is kept of dev stays the same."""
    eager = write_tracks(recordings, tmp_path / "eager", 3.0, also=alarms)
    other = write_tracks(recordings, tmp_path / "other", 3.0, also=alarms)
    for name in ("rec3", "rec4"):
        track = read_track(other / "tracks" / f"{name}.parquet")
        write_track(other / "tracks", ScoreTrack(track.info, track.logit - 10))
    tables = benchmark(
        recordings, tmp_path / "run", {"eager": eager, "other": other}, second_stage=True
    )
    settings = tables["settings"].set_index("detector")
    columns = ["keep_probability", "dev_f1"]
    chosen = settings.loc[["eager_postrf", "other_postrf"], columns]
    assert chosen.iloc[0].tolist() == chosen.iloc[1].tolist()
    assert chosen["keep_probability"].iloc[0] > 0
    value = tables["results"].set_index(["detector", "metric"])["value"]
    assert value["other_postrf", "f1"] == 0


def test_the_second_stage_may_begin_where_more_is_found(
    recordings: Path, alarms: dict[str, list[float]], tmp_path: Path
) -> None:
    """Every second tone is as faint as the alarms: a threshold loses it, the forest finds it."""
    faint = write_tracks(recordings, tmp_path / "faint", -1.0, also=alarms)
    clear = write_tracks(recordings, tmp_path / "clear", 3.0)
    events = read_prepared(recordings).annotations
    for path in sorted((faint / "tracks").iterdir()):
        low, high = read_track(path), read_track(clear / "tracks" / path.name)
        own = events[events["recording_id"] == low.info.recording_id].iloc[::2]
        logit = low.logit.copy()
        for begin, end in own[["begin_s", "end_s"]].to_numpy() * RATE_HZ / HOP:
            inside = slice(int(begin), int(end) + 1)
            logit[inside] = high.logit[inside]
        write_track(faint / "tracks", ScoreTrack(low.info, logit))
    tables = benchmark(recordings, tmp_path / "run", {"faint": faint}, second_stage=True)
    value = tables["results"].set_index(["detector", "metric"])["value"]
    assert value["faint", "f1"] < 0.75
    assert value["faint_postrf", "f1"] > 0.9
    threshold = tables["settings"].set_index("detector")["threshold"]
    assert threshold["faint_postrf"] < -0.9
    # The row of the second stage has one beside it of what it sorted.
    metrics = pd.read_csv(tmp_path / "run/out/metrics.csv").groupby("variant")["layer"].agg(list)
    assert sorted(metrics) == [["evaluation"], ["evaluation", "postrf"]]


def test_one_dev_group_cannot_judge_itself(tmp_path: Path) -> None:
    recordings = write_tones(tmp_path / "in", ("train", "dev", "test"))
    events = read_prepared(recordings).annotations
    also = {"rec1": (events.query("recording_id == 'rec1'")["begin_s"] + 0.6).tolist()}
    tracks = {"eager": write_tracks(recordings, tmp_path / "eager", 3.0, also=also)}
    tables = benchmark(recordings, tmp_path / "run", tracks, second_stage=True)
    assert tables["results"]["detector"].unique().tolist() == ["eager"]
    assert "lie in 1 group; the second stage needs two" in tables["notes"]["note"].item()


def test_fixed_variants_are_measured_at_their_windows_hops_and_thresholds(
    recordings: Path, tmp_path: Path
) -> None:
    window_s, hop_s = 2 * HOP / RATE_HZ, HOP / RATE_HZ
    tracks = write_tracks(recordings, tmp_path / "tracks", 1.0, window=2 * HOP)
    variants = (
        FixedVariant(window_s, hop_s, 0.6),
        FixedVariant(window_s, 3 * hop_s, 0.6),
        FixedVariant(window_s, hop_s, 0.9),
        FixedVariant(0.4, hop_s, 0.6),
    )
    tables = benchmark(recordings, tmp_path / "run", {"made": tracks}, variants=variants)
    fixed = tables["fixed_variants"].set_index("variant")
    assert fixed["f1"]["len20_hop10_th60"] == 1  # the height is a probability of 0.73
    assert fixed["f1"]["len20_hop30_th60"] == 1
    assert fixed["n_found"]["len20_hop10_th90"] == 0
    assert len(fixed) == 3
    (note,) = tables["notes"].query("detector == 'len400_hop10_th60'")["note"]
    assert "no detector has windows of 400 ms every 10 ms (there are 20 ms every 10 ms)" in note
    metrics = pd.read_csv(tmp_path / "run/out/metrics.csv")
    assert set(fixed.index) < set(metrics["variant"])
