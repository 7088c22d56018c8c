"""The benchmark of detectors: run, run again from the store, and run on recordings of a user."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from qsm_core.results.export import plan_export, run_export
from qsm_core.results.run_folder import find_run
from tests.support.notebooks import NOTEBOOKS, run_notebook
from tests.support.pipeline import ROOT, PrefectService

pytestmark = [pytest.mark.server, pytest.mark.slow]

TINY = ("--epochs=2", "--updates-per-epoch=4", "--num-resamples=200", "--workers=1")


def _run(service: PrefectService, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    places = [f"--{name}={folder / name}" for name in ("store", "results")]
    return subprocess.run(
        [sys.executable, "-m", "flows.benchmark_detection", *places, *TINY, *flags],
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(prefect_service: PrefectService, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detection")
    done = _run(prefect_service, folder, "--name=first")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Band energy is best on dev" in done.stdout.replace("\n", " ") or "F1" in done.stdout
    return folder


def _listed(variant: Path, split: str) -> list[str]:
    return (variant / f"{split}.csv").read_text().splitlines()


def test_a_run_leaves_what_its_users_look_for(folder: Path) -> None:
    results = folder / "results" / "first"
    assert (results / "report.html").read_bytes().startswith(b"<!")
    for name in ("frame_by_group", "frame_random", "window_by_group", "window_random"):
        assert (results / "detectors" / name / "model.safetensors").stat().st_size > 100_000
    for strategy in ("by_group", "random"):
        index = json.loads((results / f"dataset_{strategy}" / "variant_index.json").read_text())
        variant = results / f"dataset_{strategy}"
        listed = [fn for name in ("train", "val", "test") for fn in _listed(variant, name)]
        assert sorted(listed) == sorted(entry["fn"] for entry in index["entries"])
    metrics = pd.read_csv(results / "benchmark" / "metrics.csv")
    assert set(metrics["model"]) == {
        *("frame_by_group", "frame_random", "window_by_group", "window_random", "energy")
    }
    # Nothing was trained, and no variant was cut, out of recordings that are tested on.
    recordings = pd.read_csv(results / "recordings" / "recordings.csv")
    assert recordings.groupby("group_id")["split"].nunique().eq(1).all()
    tested = set(recordings.loc[recordings["split"] == "test", "recording_id"])
    assert tested
    assert not tested & {entry["recording_id"] for entry in index["entries"]}
    assert metrics.groupby("layer")["model"].agg(set)["postrf"] <= set(metrics["model"])
    own = pd.read_parquet(results / "benchmark" / "own_test.parquet")
    assert set(own["detector"]) == {"frame_random", "window_random"}


def test_results_on_another_machine_are_drawn_by_the_notebook(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "laptop"
    exported = plan_export(find_run("first", folder / "results"), target)
    run_export(exported)
    recordings = len(pd.read_csv(target / "recordings" / "recordings.csv"))
    assert len(exported.left_out) == 5 * recordings
    assert (target / "report.html").read_bytes().startswith(b"<!")
    drawn = run_notebook(NOTEBOOKS / "detection.ipynb", QSM_RESULTS=target)
    outputs = [output for cell in drawn.cells for output in cell.get("outputs", [])]
    data = [output["data"] for output in outputs if "data" in output]
    metrics = pd.read_csv(target / "benchmark" / "metrics.csv")
    board = next(one["text/plain"] for one in data if "f1" in one.get("text/plain", ""))
    assert all(name in board for name in metrics["model"])
    assert sum("image/png" in one for one in data) >= 8
    assert not [output for output in outputs if output.get("name") == "stderr"]


def test_a_second_run_makes_nothing(folder: Path, prefect_service: PrefectService) -> None:
    done = _run(prefect_service, folder, "--name=first")
    assert done.returncode == 0, done.stdout + done.stderr
    cost = json.loads((folder / "results/first/cost.json").read_text())
    assert cost["totals"]["stages_made"] == 0
    assert not any(one["made"] for one in cost["stages"])


def test_recordings_of_a_user_give_the_same_numbers(
    folder: Path, prefect_service: PrefectService
) -> None:
    """In their own form, audio and tables in two folders, with the splits that they say."""
    own, sounds = folder / "own", folder / "sounds"
    shutil.copytree((folder / "results/first/recordings").resolve() / "audio", sounds / "audio")
    own.mkdir()
    for name in ("recordings", "annotations"):
        shutil.copy(folder / "results/first/recordings" / f"{name}.csv", own)
    flags = ("--name=own", f"--data={own}", "--detectors=energy", "--variants=by_group")
    done = _run(prefect_service, folder, *flags, f"--audio-root={sounds}", "--spectrograms")
    assert done.returncode == 0, done.stdout + done.stderr
    variant = folder / "results" / "own" / "dataset_by_group"
    names = [name for name in ("train", "val", "test") for name in _listed(variant, name)]
    pictures = {path.stem for path in variant.glob("spectrograms/*.png")}
    assert pictures == {Path(name).stem for name in names}
    tables = [
        pd.read_parquet(folder / "results" / name / "benchmark" / "results.parquet")
        for name in ("first", "own")
    ]
    first = tables[0][tables[0]["detector"] == "energy"].reset_index(drop=True)
    assert tables[1]["value"].tolist() == first["value"].tolist()


def test_programs_and_the_audio_llm_are_compared_with_detectors(
    folder: Path, prefect_service: PrefectService
) -> None:
    """What is a perfect program's table, but for one call and one alarm, is nearly perfect."""
    events = pd.read_csv(folder / "results/first/recordings/annotations.csv")
    table = events[["recording_id", "begin_s", "end_s"]].iloc[1:].assign(confidence=0.9)
    table.loc[len(events)] = [events["recording_id"].iloc[-1], 59.0, 59.5, 0.8]
    table.to_csv(folder / "table.csv", index=False)
    flags = ("--detectors=energy", "--detectors=audio_llm", "--llm-hop-s=1", "--variants=random")
    done = _run(
        prefect_service, folder, "--name=others", f"--found=raven={folder / 'table.csv'}", *flags
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "note: variant random divides clips" in " ".join(done.stderr.split())
    results = folder / "results" / "others"
    value = pd.read_parquet(results / "benchmark" / "results.parquet").set_index(
        ["detector", "metric"]
    )["value"]
    assert value["raven", "f1"] > 0.95
    assert 0 <= value["audio_llm", "f1"] <= 1
    assert len(list((results / "scores/audio_llm/tracks").iterdir())) == 8
    page = (results / "report.html").read_text()
    for title in ("Audio LLM", "raven", "Band energy, second stage"):
        assert title in page, title
    refused = _run(prefect_service, folder, "--name=wrong", "--found=x=/nowhere", *flags)
    assert refused.returncode == 2
    assert "found = x=/nowhere: there is no such file or folder" in refused.stderr


def test_what_is_wrong_with_recordings_is_said_before_anything_is_trained(
    folder: Path, prefect_service: PrefectService, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "recordings.csv").write_text("path,group_id\nmissing.wav,a\nbad.wav,b\n")
    (own / "bad.wav").write_text("no audio")
    (own / "annotations.csv").write_text("recording_id,begin_s,end_s\nbad.wav,3,2\n")
    done = _run(prefect_service, tmp_path, "--name=wrong", f"--data={own}")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    error = done.stderr[done.stderr.index("error:") :]
    for part in ("missing.wav", "bad.wav", "not after its begin"):
        assert part in error, part
    assert not list(tmp_path.glob("store/outputs/*/*"))


def test_its_best_detector_goes_to_work(folder: Path, prefect_service: PrefectService) -> None:
    results = folder / "results/first"
    settings = pd.read_parquet(results / "benchmark" / "settings.parquet").set_index("detector")
    best = settings.loc[settings["unfiltered"].isna(), "dev_f1"].idxmax()
    audio = (results / "recordings").resolve() / "audio"
    places = [f"--{name}={folder / name}" for name in ("store", "results")]
    command = [sys.executable, "-m", "flows.detect", *places, "--name=work", "--workers=1"]
    done = subprocess.run(
        [*command, f"--detector={results}", str(audio)],
        env=prefect_service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = json.loads((folder / "results/work/found/manifest.json").read_text())
    chosen = manifest["spec"]["config"]["settings"]
    for name in ("threshold", "min_duration_s", "max_gap_s"):
        assert chosen[name] == settings.loc[best, name]
    # The recordings of the benchmark were scored there: not one is scored again.
    scores = json.loads((folder / "results/work/scores/manifest.json").read_text())["summary"]
    assert scores["scored"] == 0
    # And what is found in test is what the benchmark measured.
    found = pd.read_parquet(folder / "results/work/found/detections.parquet")
    recordings = pd.read_csv(results / "recordings" / "recordings.csv")
    tested = recordings[recordings["split"] == "test"]
    by_id = dict(zip(tested["path"], tested["recording_id"], strict=True))
    mine = found.assign(recording_id=("audio/" + found["recording_id"]).map(by_id))
    mine = mine.dropna(subset="recording_id")
    counted = pd.read_parquet(results / "benchmark" / "by_recording.parquet")
    theirs = counted[counted["detector"] == best].set_index("recording_id")["n_found"]
    assert (
        mine["recording_id"]
        .value_counts()
        .reindex(theirs.index, fill_value=0)
        .equals(theirs.rename("count").astype("int64"))
    )
