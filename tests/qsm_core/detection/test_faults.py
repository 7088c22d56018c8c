"""Stages of detection that are killed, or whose disk or recordings change under them."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.detection.benchmark import evaluate
from qsm_core.detection.benchmark.config import Benchmark, Entrant
from qsm_core.detection.detectors import score, train
from qsm_core.detection.detectors.config import BandEnergy, DetectorTraining, ScoreRecordings
from qsm_core.detection.metrics.resampling import Resampling
from qsm_core.detection.variants import build
from qsm_core.detection.variants.config import VariantConfig
from qsm_core.errors import DataError, InterruptedStageError
from qsm_core.store.digests import digest_file
from qsm_core.store.full_disk import is_full_disk
from tests.support.detection_tracks import write_tracks
from tests.support.holding import Hold
from tests.support.recordings import write_tones
from tests.support.small_disk import fill, small_disk
from tests.support.stages import stage_context, start_stage

ONE_THREAD = {"threads": 1}  # the bits of a training depend on how many there are
TRAINING = DetectorTraining(width=8, epochs=3, updates_per_epoch=3, batch_size=4, sequence_s=0.5)
VARIANT = VariantConfig(strategy="random", spectrograms=True)
TRAINED = ScoreRecordings("frame", "trained", "event")
ENERGY = ScoreRecordings("energy", "energy", "event", energy=BandEnergy(1000, 2000))
BENCHMARK = Benchmark((Entrant("one", "One"),), resampling=Resampling(num_resamples=100))


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def trained(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(train, folder, TRAINING, {"recordings": recordings})
    return folder / "out"


def run(
    stage: Any, folder: Path, config: object, inputs: Mapping[str, Path], **more: Any
) -> dict[str, Any]:
    """Run a stage as the store does: with an empty output and the work of earlier attempts."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    runtime = {**ONE_THREAD, **more.pop("runtime", {})}
    context = stage_context(folder, values(config), inputs, runtime=runtime, **more)
    return stage.run(context)


def values(config: object) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(config)))


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def killed_at(
    place: str, times: int, stage: Any, folder: Path, config: object, inputs: Mapping[str, Path]
) -> None:
    """Start a stage and kill it when it is about to keep a file for the `times`-th time."""
    hold = Hold.make(folder.with_name("hold"), {"place": (place, times)})
    process = start_stage(
        stage.__name__, folder, values(config), inputs, environment=hold.environment, **ONE_THREAD
    )
    try:
        hold.wait("place", 100)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_bits(
    recordings: Path, trained: Path, tmp_path: Path
) -> None:
    inputs, folder = {"recordings": recordings}, tmp_path / "killed"
    killed_at(r"/checkpoint\.pt$", 2, train, folder, TRAINING, inputs)
    assert (folder / "work" / "checkpoint.pt").is_file()
    assert (folder / "work" / "checkpoint.part").is_file()
    updates: list[int] = []
    run(train, folder, TRAINING, inputs, report=lambda done, *_: updates.append(done))
    assert min(updates) == 4, "the first round of three updates is kept"
    assert contents(folder / "out") == contents(trained)


def test_levels_that_a_killed_training_left_unfinished_are_computed_again(
    recordings: Path, trained: Path, tmp_path: Path
) -> None:
    inputs = {"recordings": recordings}
    with pytest.raises(InterruptedStageError):
        run(train, tmp_path, TRAINING, inputs, stop=lambda: "time is up")
    levels = tmp_path / "work" / "levels" / "train"
    (levels / "levels00001.background.npy").unlink()  # it is written last
    with (levels / "levels00001.f32").open("r+b") as file:
        file.truncate(1000)
    run(train, tmp_path, TRAINING, inputs)
    assert contents(tmp_path / "out") == contents(trained)


@pytest.mark.slow
def test_a_killed_scoring_scores_no_recording_twice(
    recordings: Path, trained: Path, tmp_path: Path
) -> None:
    inputs = {"recordings": recordings, "detector": trained}
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    killed_at(r"/work/tracks/rec\d\.parquet$", 3, score, folder, TRAINED, inputs)
    kept = {path: path.stat().st_mtime_ns for path in (folder / "work/tracks").glob("rec*")}
    assert [path.stem for path in sorted(kept)] == ["rec0", "rec1"]
    assert run(score, folder, TRAINED, inputs)["scored"] == 2
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    run(score, whole, TRAINED, inputs)
    assert contents(folder / "out") == contents(whole / "out")


@pytest.mark.slow
def test_a_killed_variant_is_cut_again_to_the_same_bits(recordings: Path, tmp_path: Path) -> None:
    inputs = {"recordings": recordings}
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    killed_at(r"\.png$", 5, build, folder, VARIANT, inputs)
    assert 0 < len(list((folder / "out").glob("*.wav"))) < 10
    run(build, folder, VARIANT, inputs)
    run(build, whole, VARIANT, inputs)
    assert contents(folder / "out") == contents(whole / "out")


@pytest.mark.slow
def test_a_killed_evaluation_ends_with_the_same_bits(recordings: Path, tmp_path: Path) -> None:
    tracks = write_tracks(recordings, tmp_path / "tracks", 2.0, noise=1.0)
    inputs = {"recordings": recordings, "tracks_one": tracks}
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    killed_at(r"/metrics\.csv$", 1, evaluate, folder, BENCHMARK, inputs)
    assert list((folder / "out").glob("*.parquet"))
    run(evaluate, folder, BENCHMARK, inputs)
    run(evaluate, whole, BENCHMARK, inputs)
    assert contents(folder / "out") == contents(whole / "out")


def test_a_full_disk_costs_a_scoring_only_what_was_not_finished(
    recordings: Path, tmp_path: Path
) -> None:
    inputs, whole = {"recordings": recordings}, tmp_path / "whole"
    run(score, whole, ENERGY, inputs)
    with small_disk(tmp_path / "disk", 1024) as disk:
        ballast = fill(disk, leave=40_000)
        with pytest.raises(OSError, match="No space left on device") as caught:
            run(score, disk / "run", ENERGY, inputs)
        assert is_full_disk(caught.value)
        ballast.unlink()
        kept = len(list((disk / "run/work/tracks").glob("rec*.parquet")))
        assert 0 < kept < 4
        assert run(score, disk / "run", ENERGY, inputs)["scored"] == 4 - kept
        assert contents(disk / "run/out") == contents(whole / "out")


@pytest.mark.parametrize(
    ("stage", "config", "leave"), [(build, VARIANT, 50_000), (train, TRAINING, 2_000_000)]
)
def test_a_full_disk_is_known_as_one(
    recordings: Path, tmp_path: Path, stage: Any, config: object, leave: int
) -> None:
    inputs = {"recordings": recordings}
    with small_disk(tmp_path / "disk", 16 * 1024) as disk:
        ballast = fill(disk, leave=leave)
        with pytest.raises((OSError, RuntimeError)) as caught:
            run(stage, disk / "run", config, inputs)
        assert is_full_disk(caught.value)
        ballast.unlink()
        run(stage, disk / "run", config, inputs)
        run(stage, tmp_path / "whole", config, inputs)
        assert contents(disk / "run/out") == contents(tmp_path / "whole/out")


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(4000))


def once(action: Callable[[], None], when: Callable[..., bool]) -> Callable[..., None]:
    """Return a report of progress during which something happens, once."""
    left = [action]

    def report(*said: Any) -> None:
        if left and when(*said):
            left.pop()()

    return report


@pytest.mark.parametrize("change", [grow, Path.unlink])
def test_a_recording_that_changes_while_it_is_scored_has_no_score(
    recordings: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    own = shutil.copytree(recordings, tmp_path / "own")
    during = once(lambda: change(own / "rec1.wav"), lambda done, *_: done > 8)
    summary = run(score, tmp_path / "run", ENERGY, {"recordings": own}, report=during)
    assert (summary["recordings"], summary["failed"]) == (3, 1)
    failed = pd.read_csv(tmp_path / "run/out/failed.csv")
    assert failed["recording_id"].tolist() == ["rec1"]
    assert "rec1.wav: changed while it was read; run the command again" in failed["problem"][0]
    assert not (tmp_path / "run/work/tracks/rec1.parquet").exists()
    again = run(score, tmp_path / "run", ENERGY, {"recordings": own})
    assert (again["scored"], again["failed"]) == (0, 1)


def test_no_variant_and_no_detector_is_made_of_recordings_that_changed(
    recordings: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(recordings, tmp_path / "own")
    grow(own / "rec0.wav")
    (own / "rec1.wav").unlink()
    with pytest.raises(DataError, match=r"rec0\.wav: has changed since it was checked") as caught:
        run(build, tmp_path / "variant", VARIANT, {"recordings": own})
    assert "rec1.wav: cannot be read any more (No such file" in caught.value.problems[1]
    with pytest.raises(DataError, match=r"rec0\.wav: has changed since it was checked"):
        run(train, tmp_path / "detector", TRAINING, {"recordings": own})


def test_tracks_are_taken_over_under_the_names_that_are_used_here(
    recordings: Path, tmp_path: Path
) -> None:
    """What an output holds does not depend on who scored first."""
    run(score, tmp_path / "first", ENERGY, {"recordings": recordings})
    own = shutil.copytree(recordings, tmp_path / "own")
    table = pd.read_csv(own / "recordings.csv")
    table.assign(recording_id="moved_" + table["recording_id"]).to_csv(
        own / "recordings.csv", index=False
    )
    (own / "annotations.csv").write_text("recording_id,begin_s,end_s\n")
    other = dataclasses.replace(ENERGY, name="other")
    whole, taken = tmp_path / "whole", tmp_path / "taken"
    assert run(score, whole, other, {"recordings": own})["scored"] == 4
    parts = {"parts": [str(tmp_path / "first/out")]}
    assert run(score, taken, other, {"recordings": own}, runtime=parts)["scored"] == 0
    assert contents(taken / "out") == contents(whole / "out")


def test_a_recording_that_a_detector_cannot_hear_does_not_stop_the_others(
    recordings: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(recordings, tmp_path / "own")
    soundfile.write(own / "rec2.wav", np.zeros(2000), 1000)
    table = pd.read_csv(own / "recordings.csv").set_index("recording_id")
    found = (1000, 2000, digest_file(own / "rec2.wav"))
    table.loc["rec2", ["sample_rate_hz", "num_samples", "sha256"]] = found
    table.reset_index().to_csv(own / "recordings.csv", index=False)
    summary = run(score, tmp_path / "run", ENERGY, {"recordings": own})
    assert (summary["recordings"], summary["failed"]) == (3, 1)
    failed = pd.read_csv(tmp_path / "run/out/failed.csv")
    assert "rec2.wav: fmax_hz = 2000: a recording with 1000 Hz reaches 500" in failed["problem"][0]
