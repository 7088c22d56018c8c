"""Commands of SLURM that are refused, unanswered, or answered late, by programs that act so."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from qsm_core.errors import ConfigurationError
from tasks.workers.job import Job
from tasks.workers.slurm import commands
from tasks.workers.slurm.commands import (
    SlurmRefusedError,
    SlurmUnreachableError,
    check_commands,
    run_slurm,
)
from tasks.workers.slurm.jobs import find_jobs, invalid_in, submit_once

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
    fields = r"41\x1fqsm-0123abcd-gpu\x1fPENDING\x1fNone\x1f\x1fp\x1f1\x1fN/A\x1fN/A\x1f"
    program(
        "squeue",
        rf"printf '{fields}/other/w\n'",
        rf"printf '{fields.replace('41', '42')}/mine/w\n'",
    )
    reported: list[str] = []
    job = Job("", "qsm-0123abcd-gpu", "PENDING", comment="/mine/w")
    assert submit_once("script", job, environment=dict(os.environ), waiting=reported.append) == "42"
    assert "Unable to contact" in reported[0]


def test_jobs_are_read(program):
    row = [
        "7", "qsm-0123abcd-gpu", "RUNNING", "None", "n1", "p", "1795265040", "1795265050", "N/A",
        "/x/w",
    ]  # fmt: skip
    program("squeue", "cat <<'E'", "\x1f".join(row), "\x1f".join(["8", "other", *row[2:]]), "E")
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
        ("allocation failure: Requested node configuration is not available", False),
        ("", False),
    ],
)
def test_only_what_does_not_exist_counts_before_a_run(program, said, counts):
    program("sbatch", f'echo "{said}" >&2; [ -z "{said}" ]')
    assert (invalid_in("script", environment=dict(os.environ)) is not None) is counts


def test_a_machine_without_slurm_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="sbatch, squeue, scancel, scontrol: not found"):
        check_commands()
