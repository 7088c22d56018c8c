"""The cost table: stages made and reused, jobs of a batch system, totals."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qsm_core.store.explain import Verdict, VerdictKind
from qsm_core.store.manifest import Manifest
from qsm_core.store.spec import StageSpec
from qsm_core.store.store import StageOutput
from tasks.evaluation import evaluate
from tasks.plan.costs import cost_job_rows, cost_sentence, cost_stage_rows, run_cost, write_cost
from tasks.run.handle import StageHandle
from tasks.workers.job import Job

SUBMITTED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def _declared(name: str) -> StageHandle:
    return StageHandle(
        name=name,
        place=(0, 1, 0),
        stage=evaluate,
        config=None,
        values={},
        inputs={},
        runtime={},
        force=False,
        start=lambda: None,
        num_shards=1,
        definition=evaluate.definition,
    )


def _handle(name: str, kind: VerdictKind, **made: Any) -> StageHandle:
    handle = _declared(name)
    handle.verdict = Verdict(kind, "evaluate", "0" * 64)
    spec = StageSpec("evaluate", 1, "x", {})
    provenance = {"host": "n1", "device": "NVIDIA H200", "seconds": 1.0, **made}
    handle.future.set_result(StageOutput(Path(), Manifest(spec, 1, {}, {}, provenance)))
    return handle


@pytest.fixture
def cost():
    attempts = [
        {"slurm_job_id": "7", "ended": "interrupted"},
        {"slurm_job_id": "8", "ended": "finished"},
    ]
    resumed = _handle(
        "lora",
        VerdictKind.NEW,
        all_seconds=1800.0,
        gpu_peak_mib=2048.0,
        peak_memory_mib=512.0,
        attempts=attempts,
        interruptions=1,
    )
    reused = _handle("baseline", VerdictKind.REUSED, seconds=600.0)
    failed = _declared("report")
    failed.future.set_exception(ValueError())
    jobs = [
        _job("7", "TIMEOUT", elapsed_s=900.0, stages=("lora",)),
        _job("8", "CANCELLED", elapsed_s=900.0, stages=("lora",), max_rss_bytes=2**30),
        Job("9", "qsm-1-gpu", "PENDING", submitted_at=SUBMITTED),
    ]
    return run_cost([resumed, reused, failed], jobs)


def _job(number: str, state: str, **values: Any) -> Job:
    return Job(
        number,
        "qsm-1-gpu",
        state,
        node="n1",
        submitted_at=SUBMITTED,
        started_at=SUBMITTED + timedelta(seconds=30),
        resource="gpu",
        gpus=2,
        **values,
    )


def test_each_job_has_its_wait_its_hours_and_its_memory(cost) -> None:
    rows = {row["job"]: row for row in cost_job_rows(cost)}
    assert (rows["7"]["waited (s)"], rows["7"]["elapsed (s)"]) == (30, 900)
    assert rows["7"]["GPU-hours"] == 0.5  # two GPUs for a quarter of an hour
    assert rows["7"]["memory (MiB)"] == 512  # as the stage measured
    assert rows["8"]["memory (MiB)"] == 1024  # as SLURM measured
    assert rows["9"]["waited (s)"] is None
    assert rows["9"]["GPU-hours"] == 0


def test_reused_stages_are_reported_but_not_counted(cost) -> None:
    rows = {row["stage"]: row for row in cost_stage_rows(cost)}
    assert set(rows) == {"lora", "baseline"}
    assert rows["lora"]["jobs"] == "7, 8"
    assert rows["lora"]["attempts"] == 2
    assert rows["baseline"]["this run"] == "reused"
    assert cost.totals() == {
        "stages_made": 1,
        "stages_reused": 1,
        "jobs": 3,
        "seconds": 1800.0,
        "cpu_seconds": 0.0,
        "gpu_hours": 1.0,
        "seconds_spared": 600.0,
        "gpu_hours_spared": 0.0,
        "attempts_lost": 1,
    }
    assert cost_sentence(cost) == (
        "1 stage made in 1,800 s of work; 3 jobs; 1.00 GPU-hours; 1 attempt ended before the "
        "stage was done; 1 stage reused, so 600 s of work were spared"
    )


def test_files_hold_every_row(cost, tmp_path) -> None:
    write_cost(tmp_path / "results", cost)
    content = json.loads((tmp_path / "results" / "cost.json").read_text())
    assert [one["job"] for one in content["jobs"]] == ["7", "8", "9"]
    assert content["totals"]["gpu_hours"] == 1.0
    with (tmp_path / "results" / "cost.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["kind"], row["id"]) for row in rows] == [
        ("job", "7"), ("job", "8"), ("job", "9"), ("stage", "lora"), ("stage", "baseline")
    ]  # fmt: skip
    assert rows[3]["jobs"] == "7 8"
