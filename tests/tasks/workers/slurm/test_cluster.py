"""The Dask cluster of a class, with a worker that a shell starts in the place of SLURM."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client

from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.profile_schema import ClusterProfile
from tasks.workers.slurm.run_folder import RunFolder
from tests.support.server_records import wait_for

NAME = "qsm-0123abcd-cpu"
JOB = {"partition": "p", "walltime": "01:00:00", "cores": 2, "memory": "2G"}
PROFILE = ClusterProfile.model_validate({"interface": "lo", "resources": {"cpu": JOB, "gpu": JOB}})
# What a user may have in ~/.config/dask/jobqueue.yaml.
OF_THE_USER = {
    "jobqueue.slurm.account": "mine",
    "jobqueue.slurm.interface": "ib7",
    "jobqueue.slurm.scheduler-options": {"port": 8786},
    "jobqueue.slurm.job-extra-directives": ["--mail-type=ALL"],
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[QsmCluster]:
    folder = RunFolder.make(tmp_path, NAME, "0123abcd-1", "http://server/api")
    folder.write_environment({"ONLY_FOR_JOBS": "yes"})
    request = PROFILE.resources["cpu"]
    with (
        dask.config.set(OF_THE_USER),
        QsmCluster(PROFILE, request, job_name=NAME, folder=folder, logs=tmp_path) as running,
    ):
        yield running


def test_it_is_a_slurm_cluster_that_shows_our_script(cluster: QsmCluster) -> None:
    import dask_jobqueue  # imported before our module is, it would take SIGINT

    assert isinstance(cluster, dask_jobqueue.SLURMCluster)
    assert cluster.job_name == NAME
    script = cluster.job_script()
    assert script == cluster.script_for("dummy-name", PROFILE.resources["cpu"])
    assert "#SBATCH -t 01:00:00" in script
    assert "mine" not in script
    assert "--mail-type" not in script
    longer = PROFILE.resources["cpu"].model_copy(update={"walltime": 7200, "memory": 4096})
    own = cluster.script_for("cpu-1", longer).splitlines()
    assert {"#SBATCH -t 02:00:00", "#SBATCH --mem=4G"} < set(own)


def test_it_is_reached_with_its_certificate_only(cluster: QsmCluster) -> None:
    assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
    assert "//127.0.0.1:" in cluster.dashboard_link
    with pytest.raises(OSError, match=r"reset|closed|[Tt]imed out"):
        Client(cluster.scheduler_address.replace("tls://", "tcp://"), timeout=3)


def test_dask_cannot_submit_jobs_by_itself(cluster: QsmCluster) -> None:
    for wanted in ({"n": 1}, {"jobs": 1}, {"cores": 4}):
        with pytest.raises(NotImplementedError, match="submitted for a stage"):
            cluster.scale(**wanted)
    assert cluster.worker_spec == {}


def test_the_script_brings_a_worker_that_leaves_when_it_is_dismissed(cluster: QsmCluster) -> None:
    script = cluster.script_for("cpu-1", PROFILE.resources["cpu"])
    assert cluster.address_of("cpu-1") is None
    with subprocess.Popen(["bash"], stdin=subprocess.PIPE, text=True) as job:
        assert job.stdin is not None
        job.stdin.write(script)
        job.stdin.close()
        try:
            wait_for(lambda: cluster.address_of("cpu-1") is not None, "the worker", 120)
            with Client(cluster) as client:
                environment = client.submit(_environment).result(timeout=60)
            assert environment["ONLY_FOR_JOBS"] == "yes"
            assert environment["OMP_NUM_THREADS"] == "2"
            cluster.dismiss(cluster.address_of("cpu-1") or "")
            assert job.wait(timeout=60) == 0
        finally:
            job.kill()
    wait_for(lambda: cluster.address_of("cpu-1") is None, "the end of the worker", 60)


def _environment() -> dict[str, str]:
    import os

    return dict(os.environ)
