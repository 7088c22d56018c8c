"""A cluster that is disturbed in the middle of a stage: the run goes on by itself.

The stage counts in small steps and keeps how far it is, so a test sees whether it went on or
began again. Each test ends with an empty queue. How long it took until work went on, and how many
jobs were submitted, are properties in the report of the tests:

    python -m pytest tests/slurm --junitxml=faults.xml
"""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.terminal.loopback import free_port
from flows.terminal.server_process import loopback_server
from qsm_core.errors import ConfigurationError
from qsm_core.store.spec import StageDefinition
from tasks.workers.slurm.profile import slurm_profile
from tests.support.pipeline import ROOT, PrefectService
from tests.support.prefect_home import MakeHome
from tests.support.server_records import wait_for
from tests.support.slurm import Record, Slurm, empty_queue
from tests.support.slurm_toy import ToyCluster, holds_secret
from tests.support.slurm_toy_flow import SAID
from tests.support.toys import Toys

pytestmark = [pytest.mark.server, pytest.mark.slurm, pytest.mark.slow]

OUTAGE_S = 30.0


@pytest.fixture
def cluster(
    slurm: Slurm,
    prefect_service: PrefectService,
    toys: Toys,
    tmp_path: Path,
    record_property: Record,
) -> Iterator[ToyCluster]:
    toys_there = ToyCluster(slurm, prefect_service, toys, tmp_path)
    with empty_queue(slurm, record_property):
        yield toys_there
        toys_there.end()
    assert toys_there.files_with_secrets() == []


def test_a_job_that_waits_tells_why_and_no_secret(
    cluster: ToyCluster, slurm: Slurm, record_property: Record
) -> None:
    before = slurm.submitted()
    slurm.set_node("drain")
    try:
        run = cluster.start(n=3)
        run.wait_for("is pending: ")
        run.wait_for("DRAINED")
        _check_what_others_see(cluster, slurm)
    finally:
        slurm.set_node("resume")
    record_property("recovery_s", run.wait_for_attempt(1))
    assert run.result()["n"] == 3
    assert slurm.submitted() == before + 1


def _check_what_others_see(cluster: ToyCluster, slurm: Slurm) -> None:
    """The secrets lie in the private folder of the run, and nowhere else."""
    ((job, _, _),) = slurm.queue()
    script = slurm.command("scontrol", "write", "batch_script", job, "-")
    (folder,) = cluster.private_folders
    assert str(folder) in script
    for shown in (script, slurm.command("scontrol", "-dd", "show", "job", job)):
        assert not holds_secret(shown)
        assert "BEGIN" not in shown, "a certificate"
    assert holds_secret((folder / "environment").read_text())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = list(folder.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert sum(path.suffix == ".pem" for path in files) == 7


def test_a_job_that_never_starts_ends_the_run_with_slurms_reason(cluster: ToyCluster) -> None:
    text = cluster.start(n=3, partition="closed", pending_limit='"00:00:05"').failure()
    assert "pending_limit" in text
    assert "ReqNodeNotAvail" in text or "PartitionDown" in text


def test_a_lost_node_costs_no_finished_step(
    cluster: ToyCluster, slurm: Slurm, record_property: Record
) -> None:
    before = slurm.submitted()
    run = cluster.start(n=100)
    run.wait_for_step(10)
    slurm.set_node("down")
    try:
        run.wait_for("again (1 of 3 times)")
    finally:
        slurm.set_node("resume")
    record_property("recovery_s", run.wait_for_attempt(2))
    result = run.result()
    assert result["n"] == 100
    assert result["first_step"] >= 10
    assert slurm.submitted() == before + 2


def test_the_controller_is_away_when_a_job_is_submitted_and_while_it_runs(
    cluster: ToyCluster, slurm: Slurm, record_property: Record
) -> None:
    before = slurm.submitted()
    slurm.stop_controller()
    try:
        run = cluster.start(n=40, seconds=1.0)
        run.wait_for("queued the controller of SLURM")
    finally:
        slurm.start_controller()
    record_property("recovery_s", run.wait_for_attempt(1))
    run.wait_for_step(2)
    slurm.stop_controller()
    try:
        time.sleep(OUTAGE_S)
    finally:
        slurm.start_controller()
    assert run.result()["first_step"] == 0
    assert run.attempts == 1
    assert slurm.submitted() == before + 1


def test_the_prefect_server_is_away_for_half_a_minute(
    cluster: ToyCluster, prefect_service: PrefectService, slurm: Slurm, prefect_home: MakeHome
) -> None:
    port, home = free_port(), prefect_home(cluster.folder / "prefect")
    with loopback_server(home, port) as api_url:
        environment = {"PREFECT_API_URL": api_url, "PREFECT_HOME": str(home)}
        run = cluster.start(n=40, seconds=1.0, environment=environment)
        run.wait_for_step(2)
    time.sleep(OUTAGE_S)
    with loopback_server(home, port):
        assert run.result(timeout_s=400)["first_step"] == 0
    assert run.attempts == 1


def test_a_job_that_was_suspended_goes_on(cluster: ToyCluster, slurm: Slurm) -> None:
    """Dask would give up a worker that is silent for `worker-ttl`; one second is taken as five."""
    run = cluster.start(n=150, environment={"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1s"})
    run.wait_for_step(3)
    (job,) = slurm.running("cpu")
    slurm.command("scontrol", "suspend", job)
    asleep_at = run.steps
    time.sleep(10)
    assert asleep_at <= run.steps <= asleep_at + 1, run.output
    slurm.command("scontrol", "resume", job)
    assert run.result()["first_step"] == 0
    assert run.attempts == 1


def test_a_stage_longer_than_the_walltime_continues_in_a_new_job(
    cluster: ToyCluster, slurm: Slurm, record_property: Record
) -> None:
    before = slurm.submitted()
    run = cluster.start(n=40, seconds=1.0, walltime='"00:01:00"', stop_margin='"00:00:30"')
    run.wait_for("again (1 of 3 times)")
    asked_at = run.steps
    record_property("recovery_s", run.wait_for_attempt(2))
    result = run.result()
    assert "walltime" in run.output
    assert result["first_step"] >= asked_at > 0
    assert slurm.submitted() - before == run.attempts >= 2
    assert "TIMEOUT" not in {job.state for job in slurm.ended()[-2:]}


def test_a_stage_in_a_process_of_its_own_keeps_its_work_until_it_is_lost_too_often(
    cluster: ToyCluster, slurm: Slurm
) -> None:
    run = cluster.start(n=1000, resubmissions="1", subprocess="true")
    cancel, kill = ["scancel"], ["scancel", "--signal=KILL", "--full"]
    for attempt, end in enumerate([cancel, kill], start=1):
        wait_for(lambda attempt=attempt: run.attempts == attempt, f"attempt {attempt}", 240)
        assert run.stage_is_a_process_of_its_own
        run.wait_for_step(run.first_step + 10)
        (job,) = slurm.running("cpu")
        slurm.command(*end, job)
    assert run.first_step >= 10
    assert "given up after 1 resubmissions" in run.failure()
    assert run.stage_log.count(SAID) == 2, "the log holds what each attempt printed"


def test_ctrl_c_leaves_no_job(cluster: ToyCluster, slurm: Slurm, record_property: Record) -> None:
    run = cluster.start(n=1000)
    run.wait_for_step(3)
    run.interrupt()
    record_property("until_empty_s", slurm.wait_until_empty())
    run.process.wait(timeout=60)


def test_cancelling_in_the_ui_a_run_from_a_terminal_leaves_no_job(
    cluster: ToyCluster, slurm: Slurm, record_property: Record
) -> None:
    run = cluster.start(n=1000)
    run.wait_for_step(3)
    cluster.cancel(run.flow_run_id)
    record_property("until_empty_s", slurm.wait_until_empty())
    run.failure()
    assert cluster.server.flow_run(run.flow_run_id)["state_type"] == "CANCELLED"


def test_cancelling_in_the_ui_a_run_of_a_deployment_leaves_no_job(
    cluster: ToyCluster, slurm: Slurm, record_property: Record
) -> None:
    with cluster.deployed(n=1000) as (worker, flow_run_id):
        worker.wait_for_step(3)
        cluster.cancel(flow_run_id)
        record_property("until_empty_s", slurm.wait_until_empty())
        server = cluster.server
        wait_for(
            lambda: server.flow_run(flow_run_id)["state_type"] == "CANCELLED", "the state", 240
        )
    assert worker.attempts == 1


def test_the_jobs_of_a_killed_flow_are_reaped_and_its_work_continues(
    cluster: ToyCluster, slurm: Slurm, record_property: Record
) -> None:
    run = cluster.start(n=60)
    run.wait_for_step(10)
    run.kill()
    assert slurm.running("cpu"), "its job ended by itself before it could be reaped"
    reaped = subprocess.run(
        [sys.executable, "-m", "flows.reap_orphans"],
        env={**cluster.service.environment, **slurm.environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert reaped.returncode == 0, reaped.stderr
    record_property("until_empty_s", slurm.wait_until_empty())
    again = cluster.start(n=60).result()
    assert again["n"] == 60
    assert again["first_step"] >= 10


def test_what_slurm_refuses_ends_the_run_in_its_own_words(
    cluster: ToyCluster, slurm: Slurm
) -> None:
    text = cluster.start(n=3, memory="900G").failure()
    assert "Requested node configuration is not available" in text
    assert "partition cpu" in text
    assert not slurm.queue()  # its log of ended jobs may name a refused one


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        ("nowhere", "invalid partition specified: nowhere"),
        ("locked", "Invalid account or account/partition combination specified"),
    ],
)
def test_what_slurm_does_not_know_is_reported_before_anything_is_queued(
    cluster: ToyCluster, slurm: Slurm, monkeypatch: pytest.MonkeyPatch, partition: str, words: str
) -> None:
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    path = slurm.write_profile(cluster.folder / "profile.yaml", partition=partition)
    profile = slurm_profile(str(path), cluster.folder / "store")
    with pytest.raises(ConfigurationError, match=f"partition {partition}.*{words}"):
        profile.prepare([StageDefinition("count", 1, "nowhere.count")])


def test_a_job_that_ends_at_its_start_shows_its_log(cluster: ToyCluster) -> None:
    environment = '["echo no such module >&2; false"]'
    text = cluster.start(n=3, interface=f"lo\nenvironment: {environment}").failure()
    assert "this line of the environment failed" in text
    assert "no such module" in text


def test_a_node_with_another_version_of_qsm_gets_no_work(
    cluster: ToyCluster, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "tasks", other / "tasks")
    with (other / "tasks" / "stage_task.py").open("a") as stream:
        stream.write("# another version\n")
    python = tmp_path / "python"
    # The working folder of a job comes first on its path.
    python.write_text(f'#!/bin/sh\ncd {other} && exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    run = cluster.start(n=3, interface=f"lo\npython: {python}")
    assert "the source of qsm differs" in run.failure()
    assert run.attempts == 0
