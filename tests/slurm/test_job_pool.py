"""The jobs of one class on a real SLURM, without a flow: who gets which job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from tasks.workers.resources import WorkerPool
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.job_pool import JobPool
from tasks.workers.slurm.profile_loader import load_profile
from tasks.workers.slurm.profile_schema import ResourceClass
from tasks.workers.slurm.run_folder import RunFolder
from tests.support.slurm import Record, Slurm, empty_queue

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

NAME = "qsm-0123abcd-cpu"


@pytest.fixture
def small_job(slurm: Slurm, tmp_path: Path) -> ResourceClass:
    """One job at a time, which is kept for the next stage for long."""
    path = slurm.write_profile(tmp_path / "p.yaml", max_jobs="1", keep_idle='"01:00:00"')
    return load_profile(str(path)).resources["cpu"]


@pytest.fixture
def jobs(
    slurm: Slurm, small_job: ResourceClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> Iterator[JobPool]:  # fmt: skip
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    profile = load_profile(str(tmp_path / "p.yaml"))
    folder = RunFolder.make(tmp_path, NAME, "0123abcd-1", "")
    folder.write_environment({})
    with (
        empty_queue(slurm, record_property),
        QsmCluster(profile, small_job, job_name=NAME, folder=folder, logs=tmp_path) as cluster,
        Client(cluster) as client,
    ):
        pool = JobPool(NAME, resource="cpu", client=client, store=tmp_path, logs=tmp_path)
        yield pool
        pool.close()
    assert not folder.path.exists()


def take(jobs: JobPool, request: ResourceClass) -> tuple[str, list[str]]:
    """Let a stage have a job for a moment; return the job and what the stage waited for."""
    waited: list[str] = []
    pool = WorkerPool("slurm-cpu", lambda: None, 1, request=request)
    with jobs.acquire(pool, "a stage", waited.append) as job:
        assert (job.address or "").startswith("tls://")
        return job.description, waited


def test_the_next_stage_gets_the_job_that_is_free(jobs: JobPool, small_job: ResourceClass) -> None:
    first, waited = take(jobs, small_job)
    assert "pending" in waited[0]
    assert take(jobs, small_job) == (first, [])
    (record,) = jobs.records()
    assert record.stages == ("a stage", "a stage")
    assert record.description == first


def test_a_free_job_that_is_too_small_makes_room(jobs: JobPool, small_job: ResourceClass) -> None:
    """`max_jobs` is one, so the small job has to end before the large one can begin."""
    first, _ = take(jobs, small_job)
    second, waited = take(jobs, small_job.model_copy(update={"memory": 3000}))
    assert second != first
    assert waited[0] == "every job of class cpu is in use (max_jobs = 1)"


def test_a_free_job_that_ended_by_itself_is_replaced(
    jobs: JobPool, small_job: ResourceClass, slurm: Slurm
) -> None:
    """Its end, such as that of its walltime, does not use up `max_jobs`."""
    first, _ = take(jobs, small_job)
    (job_id,) = slurm.running("cpu")
    slurm.command("scancel", job_id)
    slurm.wait_until_empty()
    second, _ = take(jobs, small_job)
    assert second != first
    assert jobs.records()[0].state == "CANCELLED"
