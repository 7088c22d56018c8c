"""Attempts at an output: counted over processes, and listed in its manifest."""

from __future__ import annotations

import json
import signal
import time

import pytest

from qsm_core.errors import InterruptedStageError
from qsm_core.stage.attempts import Attempts
from qsm_core.stage.making import make_output
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tests.support.toys import MAKE_COUNT, count_arguments


def test_an_attempt_without_an_end_was_killed_at_its_last_sign_of_life(tmp_path):
    path = tmp_path / "attempts.json"
    Attempts(path).begin(last_sign=None)
    started = json.loads(path.read_text())[0]["started_at"]
    last_sign = started.replace("+00:00", "") + "+00:00"
    again = Attempts(path)
    again.begin(last_sign=last_sign)
    again.end("interrupted", "the walltime ends")
    Attempts(path).begin(last_sign="2030-01-01T00:00:00.000+00:00")
    shown = Attempts(path).finish()
    assert [one["ended"] for one in shown["attempts"]] == ["killed", "interrupted", "finished"]
    assert [one["reason"] for one in shown["attempts"]] == [
        "it was killed",
        "the walltime ends",
        None,
    ]
    assert shown["attempts"][0]["seconds"] == 0.0
    assert shown["interruptions"] == 2
    assert shown["all_seconds"] == pytest.approx(sum(one["seconds"] for one in shown["attempts"]))


def test_the_manifest_tells_of_every_attempt(toys, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_JOB_PARTITION", "gpu")
    store = Store(tmp_path / "store")
    spec = build_spec(toys.count, {"n": 3}, {})
    killed = toys.start(
        MAKE_COUNT, *count_arguments(store.root, toys, {"n": 3}, {"die_at": 1, "seconds": 0.6})
    )
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(InterruptedStageError):
        make_output(store, spec, {}, stop=lambda: "the walltime ends")
    with pytest.raises(ValueError, match="n is no good"):
        make_output(store, spec, {}, {"fail": "value"})
    made = make_output(store, spec, {}).manifest.provenance
    ends = [(one["ended"], one["slurm_job_id"]) for one in made["attempts"]]
    assert [how for how, _ in ends] == ["killed", "interrupted", "failed", "finished"]
    assert {job for _, job in ends} == {"17"}
    assert made["attempts"][0]["seconds"] > 0.5
    assert made["attempts"][1]["reason"] == "the walltime ends; 1 of 3 are counted"
    assert made["attempts"][2]["reason"] == "ValueError: n is no good"
    assert made["interruptions"] == 2
    assert (made["slurm_job_id"], made["slurm_partition"]) == ("17", "gpu")


def test_a_forced_repeat_begins_a_new_count(toys, tmp_path):
    store = Store(tmp_path / "store")
    spec = build_spec(toys.count, {"n": 3}, {})
    with pytest.raises(InterruptedStageError):
        make_output(store, spec, {}, stop=lambda: "the walltime ends")
    made = make_output(store, spec, {}, force=True).manifest.provenance
    assert made["interruptions"] == 1
    made = make_output(store, spec, {}, force=True).manifest.provenance
    assert made["interruptions"] == 0


def test_who_waits_for_another_process_stops_too(toys, tmp_path):
    store = Store(tmp_path / "store")
    spec = build_spec(toys.count, {"n": 50}, {})
    arguments = count_arguments(store.root, toys, {"n": 50}, {"seconds": 0.5})
    other = toys.start(MAKE_COUNT, *arguments)
    try:
        deadline = time.monotonic() + 60
        while store.progress(spec) is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(InterruptedStageError, match="walltime ends; it was waiting for proc"):
            make_output(store, spec, {}, stop=lambda: "the walltime ends")
    finally:
        other.kill()
        other.communicate()
