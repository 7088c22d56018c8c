"""The jobs of one class on a real SLURM, without a flow: who gets which job, and at which sites."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from qsm_core.errors import ConfigurationError, StageError
from qsm_core.store.spec import StageDefinition
from tasks.workers.resources import WorkerPool
from tasks.workers.slurm import worker_job
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.job_pool import JobPool
from tasks.workers.slurm.jobs import SlurmUnreadableError
from tasks.workers.slurm.profile import slurm_profile
from tasks.workers.slurm.profile_loader import load_profile
from tasks.workers.slurm.profile_schema import ResourceClass
from tasks.workers.slurm.run_folder import RunFolder
from tests.support.slurm import Record, Slurm, empty_queue
from tests.support.slurm_site import BANNER, ENVIRONMENT, wrap

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


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder before all others on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


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


def test_banners_and_the_users_own_settings_change_nothing(
    programs: Path, monkeypatch: pytest.MonkeyPatch, jobs: JobPool, small_job: ResourceClass
) -> None:
    """Memory by core, and a partition that the site chooses, as a site of that kind wants it."""
    for name in ("sbatch", "squeue", "scancel", "scontrol"):
        wrap(programs, name, BANNER, 'exec "$real" "$@"')
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    left_to_the_site = {"memory": None, "partition": None, "directives": ("--mem-per-cpu=1G",)}
    take(jobs, small_job.model_copy(update=left_to_the_site))
    jobs.close()
    (record,) = jobs.records()
    assert record.description.startswith(f"SLURM job {int(record.job_id)} on ")
    assert (record.state, record.partition) == ("COMPLETED", "cpu")


def test_a_job_without_a_number_is_cancelled_and_no_other_submitted(
    programs: Path, jobs: JobPool, small_job: ResourceClass, slurm: Slurm
) -> None:
    before = slurm.submitted()
    wrap(programs, "sbatch", 'echo "Thank you."; "$real" "$@" >/dev/null')
    hidden = wrap(programs, "squeue", 'echo "No jobs."')
    for _ in range(2):
        with pytest.raises(SlurmUnreadableError, match=r"no number of a job: 'Thank you\.'"):
            take(jobs, small_job)
    assert slurm.submitted() == before + 1
    hidden.unlink()
    jobs.close()
    slurm.wait_until_empty()


def test_a_pending_job_that_squeue_hides_is_submitted_once(
    programs: Path, monkeypatch: pytest.MonkeyPatch, jobs: JobPool, small_job: ResourceClass,
    slurm: Slurm,
) -> None:  # fmt: skip
    """SLURM is asked for the job alone. Where that says nothing either, the stage ends."""
    monkeypatch.setattr(worker_job, "_MISSING_S", 1.0)
    before = slurm.submitted()
    hidden = wrap(programs, "squeue", 'echo "No jobs."')
    waiting = small_job.model_copy(update={"partition": "closed", "pending_limit": 8})
    with pytest.raises(StageError, match=r"pending_limit .* reason: PartitionDown"):
        take(jobs, waiting)
    wrap(programs, "scontrol", 'echo "Not here."')
    with pytest.raises(StageError, match=r"nothing else is known of it: .* 'Not here\.'"):
        take(jobs, waiting)
    assert slurm.submitted() == before + 2, "one for each stage"
    hidden.unlink()


def test_what_a_sites_own_rules_refuse_is_reported_before_anything_is_queued(
    programs: Path, monkeypatch: pytest.MonkeyPatch, slurm: Slurm, tmp_path: Path
) -> None:
    rule = 'echo "sbatch: error: lua: Memory by node is not supported. Use --mem-per-cpu." >&2'
    wrap(
        programs, "sbatch", "script=$(cat)",
        f'grep -q "^#SBATCH --mem=" <<<"$script" && {{ {rule}; exit 1; }}',
        'exec "$real" "$@" <<<"$script"',
    )  # fmt: skip
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    stage = StageDefinition("count", 1, "nowhere.count")
    refused = slurm_profile(str(slurm.write_profile(tmp_path / "a.yaml")), tmp_path / "store")
    with pytest.raises(ConfigurationError, match=r"partition cpu.*Use --mem-per-cpu\.$"):
        refused.prepare([stage])
    by_core = "\n    directives: [--mem-per-cpu=1G]"
    path = slurm.write_profile(tmp_path / "b.yaml", memory=by_core, partition="")
    slurm_profile(str(path), tmp_path / "store").prepare([stage])
