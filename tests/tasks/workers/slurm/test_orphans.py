"""Which jobs are cancelled as orphans: judged by the note of their run; in doubt they stay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tasks.workers.job import Job
from tasks.workers.slurm.orphans import clear_scratch, judge
from tasks.workers.slurm.run_folder import RunFolder, read_note

NAME = "qsm-0123abcd-gpu"


def nobody_knows(_flow_run_id: str) -> bool | None:
    return None


def ended(_flow_run_id: str) -> bool | None:
    return True


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    return RunFolder.make(tmp_path / "scratch", NAME, "0123abcd-1", "http://server/api")


def job_of(folder: RunFolder) -> Job:
    return Job("7", NAME, "RUNNING", comment=f"{folder.path}/gpu-1")


def rewrite(folder: RunFolder, *, silent_s: float = 0, **changes: object) -> None:
    path = folder.path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    os.utime(path, (time.time() - silent_s,) * 2)


def test_the_job_of_a_living_flow_stays(folder):
    verdict = judge(job_of(folder), nobody_knows)
    assert not verdict.orphan
    assert "was alive 0 s ago" in verdict.why
    assert verdict.flow_run_id == "0123abcd-1"


def test_a_killed_process_on_this_host_is_known_at_once(folder):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    rewrite(folder, pid=process.pid)
    assert judge(job_of(folder), nobody_knows).orphan


def test_a_number_that_another_process_got_is_no_sign_of_life(folder):
    rewrite(folder, started=time.time() - 1e6)
    assert judge(job_of(folder), nobody_knows).orphan


def test_a_silent_flow_elsewhere_is_gone_after_a_while(folder):
    rewrite(folder, host="another", pid=1, silent_s=300)
    assert not judge(job_of(folder), nobody_knows, silent_s=600).orphan
    assert judge(job_of(folder), nobody_knows, silent_s=200).orphan


def test_prefect_may_know_it_sooner_but_not_while_the_flow_is_busy_ending(folder):
    rewrite(folder, host="another", pid=1, silent_s=300)
    assert judge(job_of(folder), ended).orphan
    rewrite(folder, silent_s=5)
    assert not judge(job_of(folder), ended).orphan


def test_in_doubt_a_job_stays(folder, tmp_path):
    for comment in ("", "something of mine", str(tmp_path / "elsewhere" / f"{NAME}.x" / "w")):
        assert not judge(Job("7", NAME, "RUNNING", comment=comment), ended).orphan
    (folder.path / "run.json").write_text("{")
    assert not judge(job_of(folder), ended).orphan


def test_what_a_run_left_after_cleaning_up_is_an_orphan(folder):
    job = job_of(folder)
    folder.remove()
    assert judge(job, nobody_knows).orphan


def test_a_new_run_leaves_the_folders_of_living_ones_alone(folder):
    other = folder.path.parent / f"{NAME}.mine"
    other.mkdir()
    clear_scratch(folder.path.parent)  # asks SLURM for nothing, as nothing is stale
    assert folder.path.is_dir()
    assert other.is_dir()


def test_no_note_where_there_is_none(tmp_path):
    assert read_note(tmp_path) is None
