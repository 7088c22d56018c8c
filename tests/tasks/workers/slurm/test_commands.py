"""Commands of SLURM that are refused, unanswered, or answered late, by programs that act so."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qsm_core.errors import ConfigurationError
from tasks.workers.job import Job
from tasks.workers.slurm import commands, jobs
from tasks.workers.slurm.commands import (
    SlurmRefusedError,
    SlurmUnreachableError,
    check_commands,
    run_slurm,
)
from tasks.workers.slurm.jobs import (
    SlurmUnreadableError,
    find_jobs,
    find_state,
    invalid_in,
    submit_once,
)

UNREACHABLE = "squeue: error: Unable to contact slurm controller (connect failure)"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put programs before all others on the path; each notes how often it was called."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(commands, "_FIRST_PAUSE_S", 0.01)

    def write(name: str, *body: str) -> Path:
        calls = tmp_path / f"{name}.calls"
        path = tmp_path / name
        count = f"echo x >>{calls}; n=$(wc -l <{calls})"
        path.write_text("\n".join(["#!/bin/bash", count, *body]) + "\n")
        path.chmod(0o755)
        return calls

    return write


def test_a_controller_that_comes_back_is_waited_for(program):
    calls = program("squeue", f'[ $n -lt 4 ] && {{ echo "{UNREACHABLE}" >&2; exit 1; }}', "echo ok")
    assert run_slurm(["squeue"], patience_s=60) == "ok\n"
    assert len(calls.read_text().splitlines()) == 4


def test_the_wait_has_an_end(program):
    program("squeue", f'echo "{UNREACHABLE}" >&2; exit 1')
    with pytest.raises(SlurmUnreachableError, match="does not answer: Unable to contact"):
        run_slurm(["squeue"], patience_s=0)


def test_a_refusal_is_reported_in_slurms_words_and_not_repeated(program):
    calls = program(
        "sbatch", 'echo "sbatch: error: invalid partition specified: nope" >&2',
        'echo "sbatch: error: Batch job submission failed" >&2; exit 1',
    )  # fmt: skip
    with pytest.raises(
        SlurmRefusedError,
        match=r"^sbatch says: invalid partition specified: nope; Batch job submission failed$",
    ):
        run_slurm(["sbatch"], patience_s=60)
    assert len(calls.read_text().splitlines()) == 1


def test_a_submission_whose_answer_was_lost_is_not_repeated(program):
    """The controller takes the job, then goes away before it has said so."""
    program("sbatch", f'[ $n = 1 ] && {{ echo "{UNREACHABLE}" >&2; exit 1; }}', "echo 99")
    fields = r"qsm\x1f41\x1fqsm-0123abcd-gpu\x1fPENDING\x1fNone\x1f\x1fp\x1f1\x1fN/A\x1fN/A\x1f"
    program(
        "squeue",
        rf"printf '{fields}/other/w\x1fqsm\n'",
        rf"printf '{fields.replace('41', '42')}/mine/w\x1fqsm\n'",
    )
    reported: list[str] = []
    job = Job("", "qsm-0123abcd-gpu", "PENDING", comment="/mine/w")
    assert submit_once("script", job, environment=dict(os.environ), waiting=reported.append) == "42"
    assert "Unable to contact" in reported[0]


def test_a_submission_that_shows_no_number_is_not_repeated(program, monkeypatch):
    """The job may be there. It is found by its comment, or the run ends with what sbatch said."""
    monkeypatch.setattr(jobs, "_PAUSE_S", 0.01)
    calls = program("sbatch", "echo Welcome; echo 2026; echo 43")
    fields = ("qsm", "42", "qsm-0123abcd-gpu", "PENDING", "None", "", "p", "1", "N/A", "N/A")
    row = r"\x1f".join((*fields, "/mine/w", "qsm"))
    program("squeue", "echo 'CLUSTER: one'", f"[ $n = 2 ] && printf '{row}\\n'", "exit 0")
    job = Job("", "qsm-0123abcd-gpu", "PENDING", comment="/mine/w")
    given = {"environment": dict(os.environ), "waiting": lambda _: None}
    assert submit_once("script", job, **given) == "42"
    other = Job("", "qsm-0123abcd-gpu", "PENDING", comment="/other/w")
    with pytest.raises(SlurmUnreadableError, match="no number of a job: 'Welcome 2026 43'"):
        submit_once("script", other, **given)
    assert len(calls.read_text().splitlines()) == 2


def test_no_variable_of_the_user_reaches_a_command(program, monkeypatch):
    """A filter of squeue would hide our jobs; where the controller is has to be known."""
    for name in ("SQUEUE_STATES", "SQUEUE_FORMAT2", "SCANCEL_STATE", "SLURM_CLUSTERS", "SACCT_X"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    program("squeue", "env | grep -E '^(SQUEUE|SCANCEL|SLURM|SACCT)_'")
    assert run_slurm(["squeue"]) == "SLURM_CONF=/etc/slurm.conf\n"


def test_one_job_is_asked_for_where_a_list_does_not_help(program):
    program(
        "scontrol",
        'echo "Welcome"; [ "${@: -1}" = 7 ] && echo "JobId=7 JobName=x UserId=u JobState=PENDING'
        ' Reason=Priority Dependency=(null)" && exit 0',
        '[ "${@: -1}" = 9 ] && exit 0',
        'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1',
    )
    assert find_state("7") == ("PENDING", "Priority")
    assert find_state("8") is None
    with pytest.raises(SlurmUnreadableError, match="says nothing of job 9: 'Welcome'"):
        find_state("9")


def test_jobs_are_read(program):
    row = [
        "qsm", "7", "qsm-0123abcd-gpu", "RUNNING", "None", "n1", "p", "1795265040", "1795265050",
        "N/A", "/x/w", "qsm",
    ]  # fmt: skip
    program(
        "squeue", "cat <<'E'", "\x1f".join(row), "\x1f".join(["qsm", "8", "other", *row[3:]]), "E"
    )
    (job,) = find_jobs(["qsm-0123abcd-gpu"])
    assert (job.job_id, job.state, job.node, job.comment) == ("7", "RUNNING", "n1", "/x/w")
    assert job.alive
    assert not job.pending
    assert (job.started_at - job.submitted_at).total_seconds() == 10
    assert job.ended_at is None
    assert job.elapsed_s == pytest.approx(max(0.0, time.time() - 1795265050), abs=5)


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ("allocation failure: Invalid partition name specified", True),
        ("lua: Requesting memory by node is not supported. Use --mem-per-cpu.", True),
        ("allocation failure: Requested node configuration is not available", False),
        ("allocation failure: Required node not available (down, drained or reserved)", False),
        ("", False),
    ],
)
def test_only_what_slurm_would_refuse_counts_before_a_run(program, said, counts):
    program("sbatch", f'echo "{said}" >&2; [ -z "{said}" ]')
    assert (invalid_in("script", environment=dict(os.environ)) is not None) is counts


def test_a_machine_without_slurm_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="sbatch, squeue, scancel, scontrol: not found"):
        check_commands()
