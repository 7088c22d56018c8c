"""Jobs whose flow is gone: own user only, found by exact name and by the note of their run.

A flow that ends in an orderly way cancels its jobs. One that is killed (SIGKILL, a crash of its
host) cannot: its running workers end by themselves, but jobs that still wait in the queue would
start later for nobody.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tasks.workers.job import Job
from tasks.workers.slurm.job_names import parse_job_name
from tasks.workers.slurm.jobs import cancel_jobs, find_jobs
from tasks.workers.slurm.run_folder import HEARTBEAT_S, RunNote, read_note

SILENT_S = 600.0
_END_WITHIN_S = 30.0

# Takes the id of a flow run; says whether it has ended, None where Prefect does not know.
HasEnded = Callable[[str], bool | None]


@dataclass(frozen=True)
class JobVerdict:
    """Whether one job is an orphan.

    Args:
        job: The job.
        orphan: Whether its flow is gone, so that it is to be cancelled.
        why: The reason.
        flow_run_id: Of Prefect, where it is known.
    """

    job: Job
    orphan: bool
    why: str
    flow_run_id: str = ""


def find_orphans(has_ended: HasEnded, *, silent_s: float = SILENT_S) -> list[JobVerdict]:
    """Judge every job of this user that is named like a job of qsm.

    Args:
        has_ended: Queries Prefect.
        silent_s: How long a flow on another host must have been silent.
    """
    ours = [job for job in find_jobs(ended_too=False) if parse_job_name(job.name) is not None]
    return [judge(job, has_ended, silent_s=silent_s) for job in ours]


def judge(job: Job, has_ended: HasEnded, *, silent_s: float = SILENT_S) -> JobVerdict:
    """Say whether the flow of a job is gone; in doubt it is not."""
    folder = folder_of(job)
    if folder is None:
        return JobVerdict(job, orphan=False, why="it does not name the run that it belongs to")
    if not folder.parent.is_dir():
        return JobVerdict(job, orphan=False, why=f"{folder.parent} does not exist on this host")
    note = read_note(folder)
    if note is None:
        gone = not folder.exists()
        why = "its run has ended and cleaned up" if gone else f"{folder} cannot be read"
        return JobVerdict(job, orphan=gone, why=why)
    orphan, why = _judge_flow(note, has_ended, silent_s)
    return JobVerdict(job, orphan, why, note.flow_run_id)


def cancel_orphans(verdicts: Iterable[JobVerdict]) -> list[Job]:
    """Cancel the orphans, remove their private folders, and return those still not ended."""
    orphans = [one.job for one in verdicts if one.orphan]
    cancel_jobs(job.job_id for job in orphans)
    left = orphans
    deadline = time.monotonic() + _END_WITHIN_S
    while left and time.monotonic() < deadline:
        alive = {job.job_id for job in find_jobs({job.name for job in orphans}, ended_too=False)}
        left = [job for job in orphans if job.job_id in alive]
        if left:
            time.sleep(0.5)
    busy = {folder_of(job) for job in left}
    for folder in {folder_of(job) for job in orphans} - busy:
        if folder is not None and _is_private_folder(folder):
            shutil.rmtree(folder, ignore_errors=True)
    return left


def clear_scratch(scratch: Path) -> None:
    """End jobs and remove private folders that killed runs have left in the scratch folder.

    Called at the start of a run, so that a retry after a kill does not work beside the jobs of the
    earlier attempt.
    """
    stale = [one for one in scratch.glob("qsm-*.*") if _is_stale(one)]
    if not stale:
        return
    jobs = find_jobs({one.name.rpartition(".")[0] for one in stale}, ended_too=False)
    cancel_orphans(
        JobVerdict(job, orphan=True, why="its flow is gone")
        for job in jobs
        if folder_of(job) in stale
    )
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)


def folder_of(job: Job) -> Path | None:
    """Return the private folder that a job names in its comment, None where it names none."""
    folder = Path(job.comment).parent
    return folder if folder.is_absolute() and folder.name.startswith(f"{job.name}.") else None


def _judge_flow(note: RunNote, has_ended: HasEnded, silent_s: float) -> tuple[bool, str]:
    silent = time.time() - note.seen
    where = f"its flow (process {note.pid} on {note.host})"
    if note.is_gone(silent_s=silent_s):
        return True, f"{where} is gone"
    # A flow that has just ended may still be busy cancelling its jobs.
    if silent > 4 * HEARTBEAT_S and has_ended(note.flow_run_id):
        return True, f"{where} has ended, according to Prefect"
    return False, f"{where} was alive {silent:.0f} s ago"


def _is_stale(folder: Path) -> bool:
    if not _is_private_folder(folder):
        return False
    note = read_note(folder)
    return note is not None and note.is_gone(silent_s=SILENT_S)


def _is_private_folder(folder: Path) -> bool:
    """Say whether a folder was made by `RunFolder`, by its name and its note."""
    named = parse_job_name(folder.name.rpartition(".")[0]) is not None
    return named and (folder / "run.json").is_file()
