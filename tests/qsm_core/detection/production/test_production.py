"""A detector at work: what is listed, what is scored again, what is written of the events."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.detection.annotations.importing import import_recordings
from qsm_core.detection.annotations.review import read_review
from qsm_core.detection.detectors import score
from qsm_core.detection.detectors.config import BandEnergy, ScoreRecordings
from qsm_core.detection.detectors.workload import nothing_to_score, split_scoring
from qsm_core.detection.events.settings import EventSettings
from qsm_core.detection.failures import read_failures
from qsm_core.detection.production import find, listing
from qsm_core.detection.production.config import FindEvents, ListRecordings
from qsm_core.detection.tracks import read_tracks
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext
from tests.support.recordings import RATE_HZ, TONE_HZ, write_tones
from tests.support.stages import stage_context

TONES = BandEnergy(fmin_hz=TONE_HZ - 200, fmax_hz=TONE_HZ + 200)
SCORES = ScoreRecordings("energy", "energy", "tone", energy=TONES)
EVENTS = FindEvents(EventSettings(max_gap_s=0.05, min_duration_s=0.1), review=3, clips=True)


def _context(folder: Path, config: object, inputs: dict[str, Path], **runtime) -> StageContext:
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    return stage_context(folder, values, inputs, runtime=runtime)


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Three recordings in two folders, and a file that is none."""
    made = write_tones(tmp_path / "made", ("train", "dev", "test"))
    folder = tmp_path / "audio"
    (folder / "night.1").mkdir(parents=True)
    shutil.copy(made / "rec0.wav", folder / "a.05.wav")
    shutil.copy(made / "rec1.wav", folder / "night.1" / "a.05.wav")
    shutil.copy(made / "rec2.wav", folder / "night.1" / "a.06.wav")
    (folder / "night.1" / "broken.wav").write_bytes(b"RIFF")
    (folder / "notes.txt").write_text("rain")
    return folder


def _list(folder: Path, audio: Path, config: ListRecordings | None = None) -> Path:
    listing.run(_context(folder, config or ListRecordings(), {"source": audio}))
    return folder / "out"


def _score(folder: Path, recordings: Path, audio: Path, *parts: Path) -> dict:
    return score.run(
        _context(
            folder,
            SCORES,
            {"recordings": recordings},
            audio=str(audio),
            parts=[str(one) for one in parts],
        )
    )


def test_what_can_be_read_is_listed_and_what_cannot_is_named(audio, tmp_path) -> None:
    recordings = pd.read_csv(_list(tmp_path / "list", audio) / "recordings.csv")
    assert recordings["recording_id"].tolist() == [
        "a.05.wav",
        "night.1/a.05.wav",
        "night.1/a.06.wav",
    ]
    failed = read_failures(tmp_path / "list" / "out")
    assert failed["recording_id"].tolist() == ["night.1/broken.wav"]
    assert "cannot be decoded" in failed["problem"][0]


def test_one_file_is_a_listing_of_one(audio, tmp_path) -> None:
    recordings = pd.read_csv(_list(tmp_path / "list", audio / "a.05.wav") / "recordings.csv")
    assert recordings["recording_id"].tolist() == ["a.05.wav"]


def test_a_channel_that_a_file_lacks_is_said_of_that_file(audio, tmp_path) -> None:
    rng = np.random.default_rng(0)
    soundfile.write(audio / "stereo.wav", rng.normal(0, 0.1, (RATE_HZ, 2)), RATE_HZ)
    folder = _list(tmp_path / "list", audio, ListRecordings(channel=1))
    assert pd.read_csv(folder / "recordings.csv")["recording_id"].tolist() == ["stereo.wav"]
    problems = read_failures(folder).set_index("recording_id")["problem"]
    assert "there is no channel 1" in problems["a.05.wav"]


def test_a_folder_without_one_readable_file_is_refused(tmp_path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "x.wav").write_bytes(b"")
    with pytest.raises(DataError, match="no file can be read as audio"):
        _list(tmp_path / "list", tmp_path / "audio")


def test_the_state_of_a_folder_changes_with_any_file(audio) -> None:
    before = listing.folder_state(audio)
    assert listing.folder_state(audio) == before
    os.utime(audio / "a.05.wav", ns=(1, 1))
    touched = listing.folder_state(audio)
    (audio / "night.1" / "a.06.wav").unlink()
    assert len({before, touched, listing.folder_state(audio)}) == 3
    (audio / "notes.txt").write_text("no audio")
    assert listing.folder_state(audio)[0] == 3


def test_tables_give_the_same_events_when_read_again(audio, tmp_path) -> None:
    recordings = _list(tmp_path / "list", audio)
    _score(tmp_path / "score", recordings, audio)
    inputs = {"recordings": recordings, "scores": tmp_path / "score" / "out"}
    made = find.run(_context(tmp_path / "find", EVENTS, inputs, audio=str(audio)))
    out = tmp_path / "find" / "out"
    found = pd.read_parquet(out / "detections.parquet")
    assert made["events"] == len(found) == 12
    assert made["clips"] == len(list((out / "clips").glob("*.wav"))) == 12
    for form in ("raven", "raven-combined", "audacity"):
        beside = tmp_path / form
        shutil.copytree(audio, beside, ignore=shutil.ignore_patterns("broken*"))
        shutil.copytree(out / "tables" / form, beside, dirs_exist_ok=True)
        again = import_recordings(beside).annotations
        for column in ("recording_id", "begin_s", "end_s", "label"):
            assert again[column].tolist() == found[column].tolist(), (form, column)
    summary = pd.read_csv(out / "summary.csv").set_index("recording_id")
    counts = found["recording_id"].value_counts()
    assert summary["detections"].dropna().to_dict() == counts.to_dict()
    assert "cannot be decoded" in summary.loc["night.1/broken.wav", "problem"]


def test_the_least_certain_detections_are_judged_and_read_back(audio, tmp_path) -> None:
    recordings = _list(tmp_path / "list", audio)
    _score(tmp_path / "score", recordings, audio)
    inputs = {"recordings": recordings, "scores": tmp_path / "score" / "out"}
    find.run(_context(tmp_path / "find", EVENTS, inputs, audio=str(audio)))
    (path,) = (tmp_path / "find" / "out" / "review").iterdir()
    lines = path.read_text().splitlines()
    assert len(lines) == 1 + 3
    judged = [lines[1] + "yes", lines[2] + "no", lines[3]]
    path.write_text("\n".join([lines[0], *judged]) + "\n")
    verdicts = read_review(path)
    assert (len(verdicts.annotations), len(verdicts.rejected), verdicts.open) == (1, 1, 1)


def test_no_audio_is_scored_twice_whatever_it_is_called(audio, tmp_path) -> None:
    first = _list(tmp_path / "list", audio)
    assert _score(tmp_path / "score", first, audio)["scored"] == 3
    (audio / "a.05.wav").rename(audio / "renamed.wav")
    shutil.copy(audio / "night.1" / "a.06.wav", audio / "copy.wav")
    (audio / "night.1" / "broken.wav").unlink()
    second = _list(tmp_path / "list2", audio)
    before = tmp_path / "score" / "out"
    assert nothing_to_score(SCORES, {"recordings": second}, [before])
    assert not nothing_to_score(SCORES, {"recordings": second}, [])
    made = _score(tmp_path / "score2", second, audio, before)
    assert (made["scored"], made["recordings"]) == (0, 4)
    tracks = {
        track.info.recording_id: track for track in read_tracks(tmp_path / "score2/out/tracks")
    }
    old = {track.info.recording_id: track for track in read_tracks(before / "tracks")}
    assert np.array_equal(tracks["renamed.wav"].logit, old["a.05.wav"].logit)
    assert np.array_equal(tracks["copy.wav"].logit, old["night.1/a.06.wav"].logit)


def test_another_channel_of_the_same_file_is_scored_again(tmp_path) -> None:
    tone = 0.1 * np.sin(2 * np.pi * TONE_HZ * np.arange(2 * RATE_HZ) / RATE_HZ)
    noise = np.random.default_rng(0).normal(0, 0.01, 2 * RATE_HZ)
    (tmp_path / "audio").mkdir()
    soundfile.write(tmp_path / "audio" / "x.wav", np.stack([tone, noise], axis=1), RATE_HZ)
    listed = [
        _list(tmp_path / f"list{channel}", tmp_path / "audio", ListRecordings(channel=channel))
        for channel in (0, 1)
    ]
    _score(tmp_path / "score0", listed[0], tmp_path / "audio")
    assert not nothing_to_score(SCORES, {"recordings": listed[1]}, [tmp_path / "score0" / "out"])
    made = _score(tmp_path / "score1", listed[1], tmp_path / "audio", tmp_path / "score0" / "out")
    assert made["scored"] == 1


def test_shards_are_for_what_is_left_to_score(audio, tmp_path) -> None:
    recordings = _list(tmp_path / "list", audio)
    table = pd.read_csv(recordings / "recordings.csv")
    table["num_samples"] = 1000 * RATE_HZ  # as if they were long
    table.to_csv(recordings / "recordings.csv", index=False)
    inputs = {"recordings": recordings}
    assert len(split_scoring(SCORES, inputs, [], 8)) == 5
    _score(tmp_path / "score", _list(tmp_path / "one", audio / "a.05.wav"), audio)
    known = [tmp_path / "score" / "out"]
    assert len(split_scoring(SCORES, inputs, known, 8)) == 3
    assert split_scoring(SCORES, inputs, known, 1) == ()


def test_a_threshold_is_applied_to_stored_scores(audio, tmp_path) -> None:
    recordings = _list(tmp_path / "list", audio)
    _score(tmp_path / "score", recordings, audio)
    inputs = {"recordings": recordings, "scores": tmp_path / "score" / "out"}
    shutil.rmtree(audio)  # nothing is heard again
    settings = replace(EVENTS.settings, threshold=100.0)
    config = FindEvents(settings, forms=("csv",), review=3)
    made = find.run(_context(tmp_path / "find", config, inputs))
    assert made["events"] == 0
    out = tmp_path / "find" / "out"
    assert not (out / "review").exists()
    assert pd.read_csv(out / "tables" / "csv" / "events.csv").empty
