"""Jobs as SLURM reports them, and the commands that query, submit and cancel them.

Only jobs of this user are touched, by exact name or number.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime

from tasks.workers.job import ALIVE, Job
from tasks.workers.slurm.commands import (
    PATIENCE_S,
    SlurmRefusedError,
    SlurmUnreachableError,
    run_slurm,
)

logger = logging.getLogger(__name__)

_FIELDS = ("%i", "%j", "%T", "%r", "%N", "%P", "%V", "%S", "%e", "%k")
_PAUSE_S = 2.0
_SEPARATOR = "\x1f"
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


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
    command += [f"--format={_SEPARATOR.join(_FIELDS)}"]
    if names is not None:
        command += [f"--name={','.join(names)}"]
    if ended_too:
        command += ["--states=all"]
    environment = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
    text = run_slurm(command, environment=environment, patience_s=patience_s)
    jobs = [_read_job(line) for line in text.splitlines() if line.strip()]
    return [job for job in jobs if names is None or job.name in names]


def submit_job(script: str, *, environment: dict[str, str], patience_s: float = PATIENCE_S) -> str:
    """Submit a script and return the number of the job.

    Raises:
        SlurmRefusedError: SLURM rejected it; quotes SLURM.
        SlurmUnreachableError: The controller did not answer; it may have accepted the job all the
            same.
    """
    command = ["sbatch", "--parsable"]
    text = run_slurm(command, stdin=script, environment=environment, patience_s=patience_s)
    return text.strip().split(";")[0]


def submit_once(
    script: str,
    job: Job,
    *,
    environment: dict[str, str],
    waiting: Callable[[str], object],
) -> str:
    """Submit a script and return the number of the job, also where the answer is lost.

    A controller that goes away may have accepted the job. So the queue is searched for the job
    before it is submitted again.

    Args:
        script: The script.
        job: Name and comment that the script gives its job; no other job has this comment.
        environment: Of sbatch.
        waiting: Receives why it takes so long; what it raises ends the wait.

    Raises:
        SlurmRefusedError: SLURM rejected it; quotes SLURM.
        SlurmUnreachableError: The controller did not answer for a long time.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return submit_job(script, environment=environment, patience_s=0)
        except SlurmUnreachableError as error:
            if time.monotonic() > deadline:
                raise
            waiting(str(error))
        time.sleep(_PAUSE_S)
        for taken in find_jobs([job.name], ended_too=False):  # waits for the controller
            if taken.comment == job.comment:
                return taken.job_id


def invalid_in(script: str, *, environment: dict[str, str]) -> str | None:
    """Have SLURM check, without submitting anything, whether a script requests what does not exist.

    Returns:
        SLURM's words where it calls something invalid (partition, account, feature, gres). What
        is only unavailable at the moment, such as drained nodes, does not speak against queueing.

    Raises:
        SlurmUnreachableError: The controller did not answer.
    """
    try:
        run_slurm(["sbatch", "--test-only"], stdin=script, environment=environment)
    except SlurmRefusedError as error:
        return str(error) if "invalid" in str(error).lower() else None
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
    peaks = _peaks(text)
    return [replace(job, max_rss_bytes=peaks.get(job.job_id)) for job in jobs]


def _peaks(text: str) -> dict[str, int]:
    """Return the largest MaxRSS of the steps of each job."""
    peaks: dict[str, int] = {}
    for line in text.splitlines():
        step, _, rss = line.partition("|")
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", rss.strip())
        if found:
            job_id = step.partition(".")[0]
            peaks[job_id] = max(peaks.get(job_id, 0), int(float(found[1]) * _UNITS[found[2]]))
    return peaks


def _read_job(line: str) -> Job:
    job_id, name, state, reason, node, partition, submitted, started, ended, comment = (
        part.strip() for part in line.split(_SEPARATOR)
    )
    alive = state in ALIVE
    start = None if state == "PENDING" else _moment(started)  # an estimate, before it starts
    end = None if alive else _moment(ended)
    elapsed = ((end or datetime.now(UTC)) - start).total_seconds() if start else 0.0
    return Job(
        job_id=job_id,
        name=name,
        state=state,
        reason=reason,
        node="" if node == "(null)" else node,
        partition=partition,
        submitted_at=_moment(submitted),
        started_at=start,
        ended_at=end,
        elapsed_s=max(0.0, elapsed),
        comment="" if comment == "(null)" else comment,
    )


def _moment(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() else None
