"""An acceptance as a user runs it: exit codes, results, and nothing made twice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from qsm_core.acceptance.results.result_files import latest_results
from qsm_core.acceptance.synthetic.config import MakeCases
from qsm_core.acceptance.synthetic.make_cases import make_records, write_records
from tests.support.pipeline import ROOT, PrefectService
from tests.support.result_files import FEW_ACTIONS, GOOD, write_cases, write_result_file
from tests.support.small_llama import build_small_llama
from tests.support.tiny_llama import write_text_task

pytestmark = [pytest.mark.server, pytest.mark.slow]


def _accept(service: PrefectService, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    places = [f"--store={folder / 'store'}", f"--results-folder={folder / 'results'}"]
    return subprocess.run(
        [sys.executable, "-m", "flows.accept_adapter", *places, "--workers=1", *flags],
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def test_finished_runs_are_compared_without_a_model(
    prefect_service: PrefectService, tmp_path: Path
) -> None:
    baseline = write_result_file(tmp_path / "baseline.json", [GOOD] * 10)
    student = write_result_file(tmp_path / "student.json", [FEW_ACTIONS] * 8 + [GOOD] * 2)
    cases = write_cases(tmp_path / "cases.jsonl", 10)
    runs = [f"--results={baseline}", f"--results={student}", f"--cases={cases}"]
    done = _accept(prefect_service, tmp_path, *runs)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL: valid answers of student" in " ".join(done.stdout.split())
    results = tmp_path / "results/accept-student"
    assert (results / "report.html").read_bytes().startswith(b"<!")
    assert json.loads((results / "verdict/verdict.json").read_text())["decision"] == "FAIL"
    again = _accept(prefect_service, tmp_path, *runs, "--rubric=best")
    assert again.returncode == 3
    assert "use corrected, original, stored" in " ".join(
        again.stdout.split() + again.stderr.split()
    )


def test_a_model_and_its_adapter_answer_and_nothing_is_made_twice(
    prefect_service: PrefectService, tiny_llama: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    task = write_text_task(tmp_path / "task")
    lines = [
        json.dumps({"id": f"c{n}", "country": f"Number {n}", "tier": "ab"[n % 2]})
        for n in range(32)
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines))
    flags = [
        f"--baseline={tiny_llama}",
        f"--adapter-path={tiny_adapter}",
        f"--task={task}",
        f"--cases={tmp_path / 'cases.jsonl'}",
        "--retries=4",
        "--max-new-tokens=400",
        "--temperature=1",
        "--name=here",
    ]
    done = _accept(prefect_service, tmp_path, *flags, "--shards=2", "--max-samples=30")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: every gate holds on 30 cases" in " ".join(done.stdout.split())
    results = tmp_path / "results/here"
    for arm, adapter in (("baseline", None), ("student", str(tiny_adapter))):
        document = json.loads(latest_results(results, arm).read_text())
        assert document["total_samples"] == document["valid_samples"] == 30
        assert document["config"]["adapter_path"] == adapter
        assert document["config"]["model"] == str(tiny_llama)
        assert set(document["results"][0]) >= {"concept_id", "tier", "status", "score", "error"}
    cost = json.loads((results / "cost.json").read_text())
    assert {one["stage"] for one in cost["stages"] if one["made"]} >= {
        "baseline_shard1of2",
        "student_shard2of2",
    }
    # Two cases more, and both arms the other way round in the files of results.
    more = _accept(prefect_service, tmp_path, *flags)
    assert more.returncode == 0, more.stdout + more.stderr
    for arm in ("baseline", "student"):
        summary = json.loads((results / arm / "manifest.json").read_text())["summary"]
        assert (summary["cases"], summary["answered"]) == (32, 2)
    runs = [f"--results={results / arm}" for arm in ("student", "baseline")]
    given = [f"--task={task}", f"--cases={tmp_path / 'cases.jsonl'}"]
    turned = _accept(prefect_service, tmp_path, *runs, *given, "--name=turned")
    assert turned.returncode == 0, turned.stdout + turned.stderr
    table = pd.read_csv(tmp_path / "results/turned/verdict/tables/runs.csv")
    assert list(table["name"]) == ["student", "baseline"]
    assert list(table["num_cases"]) == [32, 32]


def test_a_student_is_trained_and_judged_beside_an_earlier_run(
    prefect_service: PrefectService, tmp_path: Path
) -> None:
    files = {}
    for kind, count in (("training", 24), ("evaluation", 12)):
        records = make_records(MakeCases(), kind, count)
        files[kind] = tmp_path / f"{kind}.jsonl"
        write_records(files[kind], records)
    texts = [one["input"]["text"] for one in make_records(MakeCases(), "training", 24)]
    model = build_small_llama(tmp_path / "model", texts)
    flags = [
        f"--baseline={model}",
        "--task=field-extraction",
        f"--train={files['training']}",
        f"--cases={files['evaluation']}",
        "--train-group=shop",
        "--train-epochs=1",
        "--train-rank=2",
        "--max-new-tokens=8",
        "--retries=0",
    ]
    seen = _accept(prefect_service, tmp_path, *flags[:3], f"--cases={files['training']}")
    assert seen.returncode == 3
    assert "its name is in" in " ".join(seen.stderr.split())
    assert "Uvicorn" not in seen.stderr
    assert not (tmp_path / "store").exists()  # refused before anything was started

    done = _accept(prefect_service, tmp_path, *flags, "--name=first")
    assert done.returncode == 1, done.stdout + done.stderr  # it knows nothing after three updates
    first = tmp_path / "results/first"
    assert (first / "adapter/adapter_model.safetensors").is_file()
    table = pd.read_csv(first / "verdict/tables/runs.csv")
    assert list(table["adapter"].fillna("")) == ["", "trained in this run"]
    assert "Learning curve" in (first / "report.html").read_text()
    past = [f"--history={first / 'student'}"]
    again = _accept(prefect_service, tmp_path, *flags, *past, "--name=second")
    assert again.returncode == 1, again.stdout + again.stderr
    cost = json.loads((tmp_path / "results/second/cost.json").read_text())
    assert {one["stage"] for one in cost["stages"] if one["made"]} == {"verdict", "report"}
    table = pd.read_csv(tmp_path / "results/second/verdict/tables/runs.csv")
    assert set(table["name"]) == {"baseline", "student", "first_student"}


def test_the_default_on_few_cases_gives_both_verdicts(
    prefect_service: PrefectService, tmp_path: Path
) -> None:
    # So few cases, and another CPU's last bits, must not decide: thresholds between both verdicts.
    few = ["--max-samples=6", "--retries=0", "--decide-by=points"]
    few += ["--valid-at-least=0.5", "--baseline-at-least=0.4", "--ratio-at-least=0.5"]
    done = _accept(prefect_service, tmp_path, *few, "--name=adapters")
    assert done.returncode == 0, done.stdout + done.stderr
    bare = _accept(prefect_service, tmp_path, *few, "--student=none", "--name=bare")
    assert bare.returncode == 1, bare.stdout + bare.stderr
    verdicts = {
        name: json.loads((tmp_path / f"results/{name}/verdict/verdict.json").read_text())
        for name in ("adapters", "bare")
    }
    assert {name: one["decision"] for name, one in verdicts.items()} == {
        "adapters": "PASS",
        "bare": "FAIL",
    }
    cost = json.loads((tmp_path / "results/bare/cost.json").read_text())
    # The model was converted and the baseline has answered.
    made = {one["stage"] for one in cost["stages"] if one["made"]}
    assert made == {"student", "verdict", "report"}
