"""The flow `compare_models` on a real Prefect server: a run, a CSV and a file of the first system.

What its parts do is tested beside them: the sources in test_compare_parameters, the tables in
tests/qsm_core/evaluation/analysis/test_sources.py.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.compare_models import compare_models
from qsm_core.errors import DataError
from tests.support.comparisons import answers, write_foreign, write_original, write_run
from tests.support.pipeline import ROOT, PrefectService
from tests.support.server_records import Server


def _compare(
    service: PrefectService, folder: Path, *sources: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "flows.compare_models", *sources),
            *("--num-resamples=100", f"--store={folder / 'store'}"),
            f"--results={folder / 'results'}",
        ],
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.server
def test_sources_of_three_kinds_in_one_report_and_again_from_the_store(
    prefect_service: PrefectService, prefect_api: str, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "seed42", {"base": 0.5, "lora": 1.5})
    foreign = write_foreign(tmp_path / "my_vad.csv", answers("vad", skill=1.0))
    original = write_original(tmp_path / "predictions.csv", answers("first", skill=0.8))
    sources = (str(run), f"My VAD={foreign}", f"First system={original}")

    done = _compare(prefect_service, tmp_path, *sources)
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results" / "comparison"
    content = json.loads((results / "report" / "results.json").read_text(encoding="utf-8"))
    titles = ["Base", "LoRA", "My VAD", "First system"]
    assert [row["title"] for row in content["results"]] == titles
    assert {row["n_rows"] for row in content["results"]} == {64}
    assert (
        "4 systems answered for the same 16 test clips from 8 groups" in content["abstract"][0][0]
    )
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "My VAD against Base" in page
    assert (results / "methods.md").read_text(encoding="utf-8").startswith("# Methods")

    outputs = sorted((tmp_path / "store" / "outputs").glob("*/*/manifest.json"))
    folders = {name: str(tmp_path / name) for name in ("store", "results")}
    compare_models(sources=list(sources), num_resamples=100, **folders)
    assert sorted((tmp_path / "store" / "outputs").glob("*/*/manifest.json")) == outputs
    server = Server(prefect_api)
    first, second = server.flow_runs(tmp_path / "results")
    assert set(server.states(first["id"]).values()) == {"Completed"}
    assert server.states(second["id"]) == {"analysis": "Cached", "report": "Cached"}


def test_clips_that_differ_are_reported_before_a_stage_starts(tmp_path: Path) -> None:
    table = answers("a")
    whole = write_foreign(tmp_path / "whole.csv", table)
    part = write_foreign(tmp_path / "part.csv", table.iloc[:-4])
    folders = {name: str(tmp_path / name) for name in ("store", "results")}
    with pytest.raises(DataError) as caught:
        compare_models.fn(sources=[str(whole), str(part)], **folders)
    assert "part has 60 rows, whole has 64, and only 60 of them are the same clip" in str(
        caught.value
    )
    assert "rows = common (--rows common)" in str(caught.value)
    assert not any(Path(folder).exists() for folder in folders.values())
