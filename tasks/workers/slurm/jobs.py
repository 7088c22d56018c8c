"""Jobs as SLURM reports them, and the commands that query, submit and cancel them.

Only jobs of this user are touched, by exact name or number.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from tasks.workers.job import Job
from tasks.workers.slurm.answers import (
    QUEUE_FORMAT,
    read_job_number,
    read_peaks,
    read_queue,
    read_record,
)
from tasks.workers.slurm.commands import (
    PATIENCE_S,
    SlurmRefusedError,
    SlurmUnreachableError,
    run_slurm,
    slurm_environment,
)

logger = logging.getLogger(__name__)

_PAUSE_S = 2.0
_LOOKS = 3  # for a job whose number sbatch did not print
# sbatch --test-only: what may be there later, so that a job may wait for it in the queue.
_NOT_NOW = (
    "requested node configuration is not available",
    "requested partition configuration not available now",
    "required node not available",
    "required partition not available",
    "requested nodes are busy",
    "licenses are not currently available",
    "job violates accounting/qos policy",
    "reservation is currently",
)


class SlurmUnreadableError(SlurmRefusedError):
    """SLURM, or a site's wrapper around it, printed something of another form; quotes it."""


def find_jobs(
    names: Collection[str] | None = None,
    *,
    ended_too: bool = True,
    patience_s: float = PATIENCE_S,
) -> list[Job]:
    """Query SLURM for jobs of this user.

    Args:
        names: Exact names; None: all of this user.
        ended_too: Also those that ended within the last minutes, as long as SLURM lists them.
        patience_s: How long to wait for a controller that does not answer.

    Raises:
        SlurmRefusedError: SLURM rejected the query.
        SlurmUnreachableError: The controller did not answer.
    """
    command = ["squeue", "--noheader", f"--user={os.getuid()}", "--array"]
    command += [f"--format={QUEUE_FORMAT}"]
    if names is not None:
        command += [f"--name={','.join(names)}"]
    if ended_too:
        command += ["--states=all"]
    environment = {**slurm_environment(os.environ), "SLURM_TIME_FORMAT": "%s"}
    text = run_slurm(command, environment=environment, patience_s=patience_s)
    return [job for job in read_queue(text) if names is None or job.name in names]


def find_state(job_id: str) -> tuple[str, str] | None:
    """Return state and reason of one job, whatever squeue lists; None where SLURM knows none.

    Raises:
        SlurmRefusedError: SLURM rejected the query, or its answer cannot be read.
        SlurmUnreachableError: The controller did not answer.
    """
    try:
        text = run_slurm(["scontrol", "--oneliner", "show", "job", job_id], patience_s=0)
    except SlurmRefusedError as error:
        if "invalid job id" in str(error).lower():
            return None
        raise
    found = read_record(text, job_id)
    if found is None:
        raise SlurmUnreadableError(f"scontrol says nothing of job {job_id}: {_quoted(text)}")
    return found


def submit_once(
    script: str,
    job: Job,
    *,
    environment: dict[str, str],
    waiting: Callable[[str], object],
) -> str:
    """Submit a script and return the number of the job, also where the answer is lost.

    A controller that goes away may have accepted the job. So the queue is searched for the job
    before it is submitted again. Where sbatch ended well and printed no number, the job is there:
    it is searched for, and never submitted again.

    Args:
        script: The script.
        job: Name and comment that the script gives its job; no other job has this comment.
        environment: Of sbatch.
        waiting: Receives why it takes so long; what it raises ends the wait.

    Raises:
        SlurmRefusedError: SLURM rejected it; quotes SLURM.
        SlurmUnreadableError: What sbatch printed holds no number, and the queue no such job.
        SlurmUnreachableError: The controller did not answer for a long time.
    """
    deadline = time.monotonic() + PATIENCE_S
    command = ["sbatch", "--parsable"]
    while True:
        try:
            text = run_slurm(command, stdin=script, environment=environment, patience_s=0)
        except SlurmUnreachableError as error:
            if time.monotonic() > deadline:
                raise
            waiting(str(error))
        else:
            return read_job_number(text) or _number_in_queue(job, text, waiting)
        time.sleep(_PAUSE_S)
        number = _find_number(job)
        if number is not None:
            return number


def _number_in_queue(job: Job, text: str, waiting: Callable[[str], object]) -> str:
    """Find the number of a job that was submitted; `text` is what sbatch printed."""
    for _ in range(_LOOKS):
        number = _find_number(job)
        if number is not None:
            return number
        waiting(f"sbatch printed no number of a job; {job.name} is searched for in the queue")
        time.sleep(_PAUSE_S)
    raise SlurmUnreadableError(
        f"sbatch printed no number of a job: {_quoted(text)}. The queue does not show the job "
        f"either (squeue --name={job.name}), so no further one is submitted"
    )


def _find_number(job: Job) -> str | None:
    """Return the number of the job with this name and comment; waits for the controller."""
    found = (one for one in find_jobs([job.name], ended_too=False) if one.comment == job.comment)
    return next((one.job_id for one in found), None)


def invalid_in(script: str, *, environment: dict[str, str]) -> str | None:
    """Have SLURM check, without submitting anything, whether it would refuse a script.

    Returns:
        SLURM's words, or those of a site's plugin, where it would (no such partition, account,
        feature; memory in a form that the site does not take). What is only unavailable at the
        moment, such as drained nodes, does not speak against queueing.

    Raises:
        SlurmUnreachableError: The controller did not answer.
    """
    try:
        run_slurm(["sbatch", "--test-only"], stdin=script, environment=environment)
    except SlurmRefusedError as error:
        said = str(error)
        later = any(words in said.lower() for words in _NOT_NOW)
        return said if error.has_words and not later else None
    return None


def cancel_jobs(
    job_ids: Iterable[str], *, at_once: bool = False, patience_s: float = PATIENCE_S
) -> None:
    """Cancel exactly these jobs; those that have ended meanwhile are no error.

    Args:
        job_ids: Their numbers.
        at_once: Kill all their processes, without the grace period that SLURM allows.
        patience_s: How long to wait for a controller that does not answer.

    Raises:
        SlurmUnreachableError: The controller did not answer.
    """
    wanted = list(job_ids)
    if wanted:
        how = ["--full", "--signal=KILL"] if at_once else []
        try:
            run_slurm(["scancel", "--quiet", *how, *wanted], patience_s=patience_s)
        except SlurmRefusedError as error:
            # It complains about jobs that have just ended. Whoever needs to know queries again.
            logger.debug("%s", error)


def add_peak_memory(jobs: Collection[Job]) -> list[Job]:
    """Add the peak memory of ended jobs where SLURM has accounting; elsewhere leave it out."""
    ids = [job.job_id for job in jobs]
    if not ids:
        return []
    command = ["sacct", "--noheader", "--parsable2", "--format=JobIDRaw,MaxRSS", "--jobs"]
    try:
        text = run_slurm([*command, ",".join(ids)], patience_s=5)
    except (SlurmRefusedError, SlurmUnreachableError, FileNotFoundError):
        return list(jobs)  # a cluster without accounting
    peaks = read_peaks(text)
    return [replace(job, max_rss_bytes=peaks.get(job.job_id)) for job in jobs]


def _quoted(text: str) -> str:
    """Return what a command printed in one line, the last words of it."""
    words = " ".join(text.split())
    return repr(words[-300:]) if words else "it printed nothing"
