"""Damaged weights as a user runs them: files for all readers, a kill, and nothing made twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.support.pipeline import ROOT, PrefectService
from tests.support.tiny_decoders import build_tiny_gemma

pytestmark = [pytest.mark.server, pytest.mark.slow]

SMALL = [
    "--variants=gauss_attn,quant_attn",
    "--n-rep=2",
    "--task=logic",
    "--max-new-tokens=6",
    "--max-tokens=32",
    "--name=here",
]


def _command(folder: Path, *flags: str) -> list[str]:
    places = [f"--store={folder / 'store'}", f"--results={folder / 'results'}"]
    return [sys.executable, "-m", "flows.perturb_weights", *places, *flags]


def _perturb(
    service: PrefectService, folder: Path, *flags: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(folder, *flags),
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def _made(results: Path) -> set[str]:
    cost = json.loads((results / "cost.json").read_text())
    return {one["stage"] for one in cost["stages"] if one["made"]}


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_gemma(tmp_path_factory.mktemp("gemma") / "model")


def test_a_run_its_records_a_kill_and_what_is_new(
    prefect_service: PrefectService, gemma: Path, tmp_path: Path
) -> None:
    flags = [f"--model={gemma}", *SMALL]
    planned = _perturb(prefect_service, tmp_path, *flags, "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    shown = " ".join((planned.stdout + planned.stderr).split())
    cells = 2 + 2 * 14 + 2 * 9
    assert f"cells {cells}" in shown
    assert f"texts {3 * cells}" in shown
    assert not (tmp_path / "results").exists()

    journals = tmp_path / "store" / "work"
    with (tmp_path / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            _command(tmp_path, *flags, "--shards=1", "--workers=1"),
            env=prefect_service.environment,
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    until = time.monotonic() + 240

    def kept() -> int:
        found = journals.glob("perturb/*/**/texts.jsonl")
        return sum(one.read_bytes().count(b"\n") for one in found)

    while kept() < 6:
        assert process.poll() is None, (tmp_path / "log.txt").read_text()
        assert time.monotonic() < until, (tmp_path / "log.txt").read_text()
        time.sleep(0.02)
    started = psutil.Process(process.pid)
    for one in [*started.children(recursive=True), started]:
        one.kill()
    process.wait()
    before = kept()
    assert 6 <= before < 3 * cells

    done = _perturb(prefect_service, tmp_path, *flags, "--shards=1")
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/here"
    assert (results / "report.html").read_bytes().startswith(b"<!")
    summary = json.loads((results / "cells/manifest.json").read_text())["summary"]
    assert summary["texts"] == 3 * cells
    assert summary["written"] == 3 * cells - before

    # As an old notebook reads the results.
    files = sorted(results.glob("outputs_*.json"))
    table = pd.concat(pd.DataFrame(json.loads(one.read_text())) for one in files)
    counts = table.groupby(["degradation_method", "std_dev"]).size()
    assert counts.loc["mult_gauss"].to_dict() == {round(0.1 * n, 10): 6 for n in range(15)}
    assert set(counts.loc["uni_quant"].index) == {2.0**power for power in range(2, 11)}
    assert set(table["param_group_name"]) == {"attn_only"}
    records = (results / "records.jsonl").read_text().splitlines()
    assert len(records) == len(table) == len(pd.read_parquet(results / "records.parquet"))
    halves = pd.read_csv(results / "summary/tables/half_levels.csv")
    assert list(halves["condition"]) == ["mult_gauss on attention_v", "uni_quant on attention_v"]

    log = (tmp_path / "store/logs/here.log").read_text()
    assert "cells finished" in log
    assert "report finished" in log

    again = _perturb(prefect_service, tmp_path, *flags)
    assert again.returncode == 0, again.stdout + again.stderr
    assert _made(results) == set()
    more = _perturb(prefect_service, tmp_path, *flags, "--n-rep=3", "--shards=2", "--also=nf4")
    # Tiny: its vision tower is narrower than what four bits on a CPU take.
    assert more.returncode != 0
    assert "take quantization 'none', or a GPU" in " ".join((more.stdout + more.stderr).split())
    more = _perturb(prefect_service, tmp_path, *flags, "--n-rep=3", "--shards=2")
    assert more.returncode == 0, more.stdout + more.stderr
    summary = json.loads((results / "cells/manifest.json").read_text())["summary"]
    assert (summary["texts"], summary["cells"]) == (9 * cells // 2, 3 * cells // 2)
    forced = _perturb(prefect_service, tmp_path, *flags, "--n-rep=3", "--force=summary")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert "summary" in _made(results)


def test_a_picture_a_users_prompts_and_another_run_beside(
    prefect_service: PrefectService, gemma: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.txt").write_text("Say something.\nSay more.\n")
    (tmp_path / "text.txt").write_text("The ferry leaves twice a day. " * 10)
    flags = [
        f"--model={gemma}",
        "--n-rep=1",
        "--method=drop_layers",
        "--groups=layers",
        "--levels=0.34",
        "--max-new-tokens=4",
        "--max-tokens=32",
        "--workers=1",
    ]
    first = _perturb(
        prefect_service, tmp_path, *flags, f"--prompts={tmp_path / 'own.txt'}",
        f"--text={tmp_path / 'text.txt'}", "--name=first",
    )  # fmt: skip
    assert first.returncode == 0, first.stdout + first.stderr
    done = _perturb(
        prefect_service, tmp_path, *flags, "--task=cookie_theft_it", "--name=seen",
        f"--compare={tmp_path / 'results/first'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    curves = pd.read_parquet(tmp_path / "results/seen/summary/tables/curves.parquet")
    assert set(curves["run"]) == {"seen", "first"}
    assert curves[curves["run"] == "first"]["user_perplexity"].notna().all()
    (export,) = (tmp_path / "results/seen").glob("outputs_*.json")
    records = json.loads(export.read_text())
    assert {one["image_filename"] for one in records} == {"kitchen.png"}
    assert len(records) == 20
    refused = _perturb(prefect_service, tmp_path, *flags, "--task=dreamz")
    assert refused.returncode != 0
    assert "task = 'dreamz'" in " ".join((refused.stdout + refused.stderr).split())
