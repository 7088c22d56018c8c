"""Score tracks come back as they were written, and refuse what cannot be one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qsm_core.detection.tracks import (
    ScoreTrack,
    TrackInfo,
    read_track,
    read_track_info,
    read_tracks,
    track_file_name,
    write_track,
)
from qsm_core.errors import DataError


def make_track(recording_id: str = "tape", **changed: int) -> ScoreTrack:
    sizes = {
        "sample_rate_hz": 8000,
        "num_samples": 16_000,
        "start_sample": -400,
        "hop_samples": 160,
        "window_samples": 800,
    }
    info = TrackInfo(
        recording_id=recording_id,
        label="hum",
        detector="net",
        detector_digest="d" * 64,
        audio_digest="a" * 64,
        **{**sizes, **changed},
    )
    return ScoreTrack(info, np.random.default_rng(3).normal(size=101).astype(np.float32))


def test_a_track_comes_back_with_the_same_bits_and_equal_tracks_give_equal_bytes(
    tmp_path: Path,
) -> None:
    track = make_track()
    path = write_track(tmp_path / "one", track)
    again = write_track(tmp_path / "two", track)
    read = read_track(path)
    assert read.info == track.info == read_track_info(path)
    assert read.logit.tobytes() == track.logit.tobytes()
    assert path.read_bytes() == again.read_bytes()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert read.info.duration_s == 2.0
    assert read.begins[:2].tolist() == [-400, -240]


def test_recordings_with_similar_names_have_files_of_their_own(tmp_path: Path) -> None:
    # The last two differ behind the length at which a name is cut.
    names = ["a.b_05.23", "a.b_05.24", "a.b", "a/b", "a%2Fb", ".a", "é" * 99, "é" * 98 + "e"]
    for name in names:
        write_track(tmp_path, make_track(name))
    assert len({track_file_name(name) for name in names}) == len(names)
    assert {track.info.recording_id for track in read_tracks(tmp_path)} == set(names)


def test_a_coarser_hop_is_a_subset_and_a_finer_one_is_refused() -> None:
    track = make_track()
    coarse = track.with_hop(480)
    assert coarse.begins.tolist() == track.begins[::3].tolist()
    assert coarse.logit.tolist() == track.logit[::3].tolist()
    with pytest.raises(DataError, match=r"hop_samples = 400: must be a multiple of 160"):
        track.with_hop(400)


def test_what_is_no_track_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "predictions.parquet"
    pd.DataFrame({"logit": [1.0]}).to_parquet(other)
    with pytest.raises(DataError, match=r"predictions\.parquet: is no score track"):
        read_track(other)
    with pytest.raises(DataError, match=r"missing\.parquet"):
        read_track(tmp_path / "missing.parquet")
    cut = write_track(tmp_path, make_track())
    cut.write_bytes(cut.read_bytes()[:100])
    with pytest.raises(DataError, match=r"tape\.parquet"):
        read_track(cut)
    with pytest.raises(DataError, match=r"hop_samples = 0: must be a whole number of 1 or more"):
        make_track(hop_samples=0)
    with pytest.raises(DataError, match=r"row 1 is nan; every score must be finite"):
        ScoreTrack(make_track().info, np.array([0, np.nan], dtype=np.float32))
