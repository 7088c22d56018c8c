"""The sbatch script: a golden file, and what must never be in it.

Written again with `QSM_WRITE_GOLDEN=1 pytest tests/tasks/slurm/test_script.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from tasks.training import train_lora
from tasks.workers.job import Job
from tasks.workers.slurm.job_names import job_name, parse_job_name
from tasks.workers.slurm.orphans import folder_of
from tasks.workers.slurm.profile import SlurmProfile, prefect_environment
from tasks.workers.slurm.profile_loader import load_profile
from tasks.workers.slurm.profile_schema import ClusterProfile
from tasks.workers.slurm.run_folder import RunFolder
from tasks.workers.slurm.script import QsmJob, job_comment, submission_environment

GOLDEN = Path(__file__).parents[3] / "golden" / "slurm" / "train_lora.sh"
CHECKOUT = str(Path(__file__).parents[4])
SECRET = "user:a-very-secret-word"
NAME = "qsm-0123abcd-gpu-large"
FOLDER = Path("/scratch/me/qsm-0123abcd-gpu-large.x1y2z3")


def profile(**changes: object) -> ClusterProfile:
    return load_profile("example-3090").model_copy(
        update={"python": "/venv/bin/python", "interface": "ib0", **changes}
    )


def script(cluster: ClusterProfile) -> str:
    job = QsmJob(
        "tls://10.0.0.1:41000",
        "gpu-large-0a1b2c3d",
        profile=cluster,
        request=cluster.request(train_lora.definition)[1],
        job_name=NAME,
        folder=FOLDER,
        logs=Path("/scratch/me/logs"),
        interface=cluster.interface,
        protocol="tls://",
    )
    return job.job_script().replace(CHECKOUT, "/checkout")


def test_script_is_the_golden_one():
    made = script(profile())
    if os.environ.get("QSM_WRITE_GOLDEN"):
        GOLDEN.write_text(made)
    assert made == GOLDEN.read_text()
    assert subprocess.run(["bash", "-n"], input=made, text=True, check=True).returncode == 0


def test_all_that_a_class_can_ask_for_is_in_the_script():
    large = profile().resources["gpu-large"].model_copy(
        update={"account": "acc", "qos": "high", "constraint": "a|b", "exclude": "n[1-2]",
                "directives": ("--reservation=r",)}
    )  # fmt: skip
    cluster = profile(resources={**profile().resources, "gpu-large": large})
    lines = script(cluster).splitlines()
    for line in ("-A acc", "--qos=high", "--constraint=a|b", "--exclude=n[1-2]",
                 "--reservation=r", "--no-requeue"):  # fmt: skip
        assert f"#SBATCH {line}" in lines


def test_the_users_own_settings_of_dask_change_nothing(monkeypatch):
    import dask

    with dask.config.set({"jobqueue.slurm.account": "mine", "jobqueue.slurm.job-extra": ["--x"],
                          "jobqueue.slurm.env-extra": ["echo"]}):  # fmt: skip
        assert script(profile()) == GOLDEN.read_text()


def test_an_environment_line_that_fails_ends_the_job_with_its_text(tmp_path):
    made = script(profile(environment=("true", "cat /no/such/file", "echo not reached")))
    done = subprocess.run(["bash"], input=made, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert "this line of the environment failed: cat /no/such/file" in done.stderr
    assert "not reached" not in done.stdout


def test_secrets_reach_the_job_by_a_private_file_only(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", SECRET)
    updates = {PREFECT_API_URL: "http://server/api", PREFECT_API_AUTH_STRING: SECRET}
    os.umask(before := os.umask(0))
    try:
        with temporary_settings(updates):
            folder = RunFolder.make(tmp_path, "qsm-0123abcd-gpu", "0123abcd", "http://server/api")
            folder.write_environment(prefect_environment())
            shown = SlurmProfile("x", profile(), tmp_path).pool(train_lora.definition).job_script()
    finally:
        os.umask(before)
    assert SECRET not in (shown or "")
    assert SECRET not in str(submission_environment(os.environ))
    shell = '. "$1"; echo "$PREFECT_API_AUTH_STRING $PREFECT_API_URL"'
    message = subprocess.run(
        ["bash", "-c", shell, "", folder.environment],
        env={}, text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert message.stdout == f"{SECRET} http://server/api\n"
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.path.iterdir()} == {0o600}


def test_a_flow_inside_a_job_does_not_pass_on_the_requests_of_that_job():
    current = {"SLURM_CONF": "c", "SLURM_MEM_PER_NODE": "4", "SBATCH_ACCOUNT": "a", "PATH": "p"}
    assert submission_environment(current) == {"SLURM_CONF": "c", "PATH": "p"}


@pytest.mark.parametrize(
    "name",
    ["qsm-0123abcd-gpu", "qsm-0123abcd-gpu-large"],
)
def test_names_of_ours(name):
    run, resource = parse_job_name(name)
    assert job_name(f"{run}-1111-2222", resource) == name


@pytest.mark.parametrize(
    "name",
    ["qsm-0123abcd", "qsm-0123abcd-", "qsm-0123abcd-GPU", "qsm-0123abc-gpu", "qsm-0123abcde-gpu",
     "xqsm-0123abcd-gpu", "qsm-0123abcd-gpu\n", "qsm-0123ABCD-gpu", "qsm-0123abcd-gpu x"],
)  # fmt: skip
def test_names_of_others(name):
    assert parse_job_name(name) is None


def test_a_job_leads_to_its_folder():
    comment = job_comment(FOLDER, "gpu-large-0a1b2c3d")
    assert folder_of(Job("1", NAME, "RUNNING", comment=comment)) == FOLDER
    for other in ("", "a word", "/etc/passwd", "/scratch/me/qsm-0123abcd-gpu.x/w"):
        assert folder_of(Job("1", NAME, "RUNNING", comment=other)) is None


def test_ctrl_c_stays_with_whoever_runs_the_flow() -> None:
    """dask-jobqueue takes the signal when it is imported, which only the main thread could."""
    code = (
        "import importlib, signal, sys, threading; "
        "before, take = signal.getsignal(signal.SIGINT), signal.signal; "
        "load = importlib.import_module; "
        "thread = threading.Thread(target=load, args=['tasks.workers.slurm.jobqueue']); "
        "thread.start(); thread.join(); "
        "assert 'tasks.workers.slurm.jobqueue' in sys.modules; "
        "assert signal.getsignal(signal.SIGINT) is before; assert signal.signal is take"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
