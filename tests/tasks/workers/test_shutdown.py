"""A worker that has to end asks its stage to stop first; real Dask workers, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

from qsm_core.errors import ConfigurationError, InterruptedStageError
from qsm_core.stage.stop import Deadline, StopRequest
from tasks.workers.local import local_cluster
from tasks.workers.shutdown import DEFAULT_MARGIN_S, SIGTERM_REASON, _shutdown, read_deadline
from tests.support.stopping import work_until_stopped
from tests.support.toys import REPOSITORY


def test_the_end_of_a_job_is_read_from_the_environment():
    assert read_deadline({}) is None
    assert read_deadline({"SLURM_JOB_END_TIME": ""}) is None
    slurm = {"SLURM_JOB_END_TIME": "1000"}
    assert read_deadline(slurm) == Deadline(stop_at=1000 - DEFAULT_MARGIN_S, end_at=1000)
    ours = {**slurm, "QSM_DEADLINE": "900.5", "QSM_STOP_MARGIN_S": "60"}
    assert read_deadline(ours) == Deadline(stop_at=840.5, end_at=900.5)
    with pytest.raises(ConfigurationError, match="QSM_DEADLINE = 'soon': not a number"):
        read_deadline({"QSM_DEADLINE": "soon"})


def test_a_request_comes_from_whoever_is_first():
    now = [0.0]
    stop = StopRequest(Deadline(stop_at=10, end_at=20), clock=lambda: now[0])
    assert stop() is None
    assert stop.left_s == 20
    now[0] = 10.0
    assert stop() == "the walltime of its job ends at 00:00:20 UTC"
    stop.set("preempted", grace_s=5)
    stop.set("something else", grace_s=1)
    assert stop() == "preempted"
    assert stop.left_s == 5
    assert StopRequest().left_s == float("inf")


@pytest.fixture
def client() -> Iterator[Client]:
    """A scheduler without workers."""
    with (
        LocalCluster(
            n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", protocol="tcp://"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def start_worker(client, tmp_path) -> Iterator[Any]:
    """Start a worker in the way of a job, without anybody who would start it again."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**environment: str) -> subprocess.Popen[bytes]:
        command = ["-m", "distributed.cli.dask_worker", client.scheduler.address, "--no-nanny"]
        options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)]
        with (tmp_path / "worker.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command, *options],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
                stdout=log,
                stderr=log,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def wait_for_file(path: Path) -> int:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(path.read_text())


def test_sigterm_asks_the_stage_to_stop_and_then_ends_the_worker(client, start_worker, tmp_path):
    worker = start_worker()
    future = client.submit(work_until_stopped, str(tmp_path / "started"))
    assert wait_for_file(tmp_path / "started") == worker.pid
    worker.send_signal(signal.SIGTERM)
    assert future.result(timeout=60) == SIGTERM_REASON
    del future  # what the flow does when it has fetched how a stage ended
    assert worker.wait(timeout=60) == 0


def test_sigterm_ends_a_worker_without_a_stage_at_once(client, start_worker, tmp_path):
    worker = start_worker()
    short = client.submit(work_until_stopped, str(tmp_path / "started"), limit_s=0.0)
    assert short.result(timeout=60) is None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0


def test_nothing_is_begun_shortly_before_the_end_of_the_job(client, start_worker, tmp_path):
    start_worker(SLURM_JOB_END_TIME=str(time.time() + 500), QSM_STOP_MARGIN_S="600")
    future = client.submit(work_until_stopped, str(tmp_path / "started"))
    with pytest.raises(InterruptedStageError, match=r"the walltime .*; the stage was not begun"):
        future.result(timeout=60)
    assert not (tmp_path / "started").exists()


def test_the_walltime_asks_the_stage_to_stop(monkeypatch, tmp_path):
    monkeypatch.setattr("tasks.workers.shutdown._shutdown", lru_cache(_shutdown.__wrapped__))
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(time.time() + 12))
    monkeypatch.setenv("QSM_STOP_MARGIN_S", "10")
    assert "the walltime of its job ends at" in work_until_stopped(str(tmp_path / "started"))


def test_a_worker_of_this_machine_stops_in_the_same_way_and_is_started_again(tmp_path):
    with local_cluster(1, 1) as cluster, Client(cluster) as client:
        future = client.submit(work_until_stopped, str(tmp_path / "started"))
        pid = wait_for_file(tmp_path / "started")
        os.kill(pid, signal.SIGTERM)
        assert future.result(timeout=60) == SIGTERM_REASON
        del future
        again = client.submit(work_until_stopped, str(tmp_path / "again"), limit_s=0.0)
        assert again.result(timeout=60) is None
        assert wait_for_file(tmp_path / "again") != pid
