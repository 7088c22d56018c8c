"""A detector at work: new files cost only themselves, and a broken one stops nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.detection.detect_parameters import parse_detect_parameters
from flows.detection.detector_source import find_detector
from qsm_core.errors import ConfigurationError
from tests.support.finished import FinishedRun
from tests.support.pipeline import ROOT, PrefectService
from tests.support.recordings import write_tones

pytestmark = [pytest.mark.server, pytest.mark.slow]


def _detect(service: PrefectService, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    places = [f"--{name}={folder / name}" for name in ("store", "results")]
    return subprocess.run(
        [sys.executable, "-m", "flows.detect", *places, "--name=found", "--workers=1", *flags],
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def _made(folder: Path) -> dict[str, dict]:
    """Return what the stages of the last run say of themselves, by name, if they were made."""
    cost = json.loads((folder / "results/found/cost.json").read_text())
    return {
        one["stage"]: json.loads(
            (folder / "results/found" / one["stage"] / "manifest.json").read_text()
        )
        for one in cost["stages"]
        if one["made"]
    }


@pytest.fixture(scope="module")
def folder(prefect_service: PrefectService, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detect")
    made = write_tones(folder / "made", ("train", "dev", "test", "train"))
    (folder / "audio").mkdir()
    for number in range(3):
        shutil.copy(made / f"rec{number}.wav", folder / "audio")
    (folder / "audio" / "torn.wav").write_bytes((made / "rec0.wav").read_bytes()[:30])
    done = _detect(prefect_service, folder, "--detector=energy", str(folder / "audio"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 recordings" in done.stdout
    assert "1 recording could not be used" in done.stdout.replace("\n", " ")
    return folder


def test_what_is_found_lies_where_its_users_look(folder: Path) -> None:
    results = folder / "results" / "found"
    assert (results / "report.html").read_bytes().startswith(b"<!")
    tables = results / "found" / "tables"
    assert len(list((tables / "raven").glob("*.Table.1.selections.txt"))) == 3
    assert (tables / "csv" / "events.csv").is_file()
    summary = pd.read_csv(results / "found" / "summary.csv").set_index("recording_id")
    assert (summary["detections"].dropna() > 0).all()
    assert "torn.wav" in summary.index


def test_a_new_file_costs_only_itself_and_a_threshold_nothing(
    folder: Path, prefect_service: PrefectService
) -> None:
    audio = folder / "audio"
    again = _detect(prefect_service, folder, "--detector=energy", str(audio))
    assert again.returncode == 0, again.stdout + again.stderr
    assert not _made(folder)
    shutil.copy(folder / "made" / "rec3.wav", audio / "new.wav")
    more = _detect(prefect_service, folder, "--detector=energy", str(audio))
    assert more.returncode == 0, more.stdout + more.stderr
    scores = _made(folder)["scores"]["summary"]
    assert (scores["scored"], scores["recordings"]) == (1, 4)
    other = _detect(
        prefect_service, folder, "--detector=energy", "--threshold=0.99", "--clips", str(audio)
    )
    assert other.returncode == 0, other.stdout + other.stderr
    assert set(_made(folder)) == {"found", "report"}


def test_a_model_of_a_pipeline_goes_to_work(
    folder: Path, prefect_service: PrefectService, finished_run: FinishedRun
) -> None:
    """With the adapter, the instruction and the threshold of the run that it comes from."""
    values = {
        "recordings": str(folder / "audio"),
        "detector": str(finished_run.results / "eval_lora_opro"),
        "model": str(finished_run.model),
    }
    source = find_detector(parse_detect_parameters(values))
    points = pd.read_csv(finished_run.results / "analysis" / "operating_points.csv")
    by_system = points.set_index("system")
    assert source.settings.threshold == by_system.loc["lora_opro@dev", "threshold"]
    assert source.asked is not None
    best = finished_run.content("opro_lora/best_prompt.txt").decode().strip()
    assert source.asked.instruction == best
    assert (source.inputs["adapter"] / "adapter_model.safetensors").read_bytes() == (
        finished_run.content("checkpoints/lora/final/adapter_model.safetensors")
    )
    whole = find_detector(
        parse_detect_parameters({**values, "detector": str(finished_run.results)})
    )
    best_on_dev = by_system["dev_ba_clip_calibrated"].idxmax()
    assert f"{whole.name}@dev" == best_on_dev
    flags = [f"--{name}={values[name]}" for name in ("detector", "model")]
    done = _detect(prefect_service, folder, *flags, "--hop-s=1", values["recordings"])
    assert done.returncode == 0, done.stdout + done.stderr
    found = pd.read_parquet(folder / "results/found/found/detections.parquet")
    assert set(found["label"]) <= {"speech"}
    tracks = list((folder / "results/found/scores/tracks").glob("*.parquet"))
    assert len(tracks) == 4
    assert np.isfinite(pd.read_parquet(tracks[0])["logit"]).all()


def test_another_model_than_that_of_the_run_is_refused(
    folder: Path, finished_run: FinishedRun
) -> None:
    values = {"recordings": str(folder / "audio"), "detector": str(finished_run.results)}
    with pytest.raises(ConfigurationError, match="is not the model of"):
        find_detector(parse_detect_parameters(values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "recordings: is empty"),
        ({"recordings": "nowhere"}, "recordings = 'nowhere': there is no such file or folder"),
        ({"recordings": ".", "detector": "siler"}, "built in are silero, energy"),
        ({"recordings": ".", "hop_s": 3.0}, "must not be above window_s"),
        ({"recordings": ".", "threshold": 1.5}, "threshold"),
        ({"recordings": ".", "formats": []}, "formats: is empty"),
    ],
)
def test_what_is_wrong_is_said_of_its_field(values: dict, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_detect_parameters(values)


def test_a_folder_that_is_no_detector_is_refused(tmp_path: Path) -> None:
    values = {"recordings": str(tmp_path), "detector": str(tmp_path)}
    with pytest.raises(ConfigurationError, match="is no detector; looked for"):
        find_detector(parse_detect_parameters(values))
