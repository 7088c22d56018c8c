"""Why a job does not start, or lost its worker: in SLURM's words, with the end of its log."""

from __future__ import annotations

import time

from qsm_core.errors import StageError
from tasks.workers.errors import LostWorkerError
from tasks.workers.slurm.units import format_duration
from tasks.workers.slurm.worker_job import WorkerJob

_START_LIMIT_S = 600.0
_TAIL_LINES = 15
_TAIL_BYTES = 20_000
# These states say nothing about the job itself: another one may well succeed.
_ENDED_FROM_OUTSIDE = frozenset(
    {"CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "GONE", "REVOKED"}
)


def startup_state(job: WorkerJob, resource: str) -> str:
    """Say how far a job is on its way to a worker.

    Args:
        job: Has no worker yet.
        resource: Its class.

    Raises:
        LostWorkerError: It was cancelled, or its node failed.
        StageError: It failed, or takes longer than it may.
    """
    slurm = job.job
    if job.unlisted_because:
        raise StageError(
            f"squeue does not list {slurm.description}, which was submitted, and nothing else is "
            f"known of it: {job.unlisted_because}. It is cancelled, and no further job submitted "
            "for the stage"
        )
    if slurm.pending:
        waited_s, limit_s = time.monotonic() - job.submitted, job.request.pending_limit
        if limit_s is not None and waited_s > limit_s:
            raise StageError(
                f"{slurm.description} was pending for {format_duration(waited_s)}, longer than the "
                f"pending_limit of class {resource}; SLURM's reason: {slurm.reason}"
            )
        reason = "" if slurm.reason in ("", "None") else f": {slurm.reason}"
        return f"{slurm.description} is pending{reason}"
    if not slurm.alive:
        raise _startup_error(job)
    if slurm.elapsed_s > _START_LIMIT_S:
        raise StageError(
            f"the worker in {slurm.description} has not connected to the flow within "
            f"{format_duration(_START_LIMIT_S)}: are `interface` and `flow_interface` of the "
            f"profile on networks that reach each other?{log_tail(job)}"
        )
    return f"{slurm.description} is starting"


def loss_error(job: WorkerJob) -> StageError:
    """Return why a worker went away under a stage."""
    if job.job.state == "OUT_OF_MEMORY":
        given = job.request.memory_text or "a job gets where its profile does not say"
        return StageError(
            f"{_end(job)}: the stage needs more than {given}; raise `memory` of "
            f"its class or stage in the profile{log_tail(job)}"
        )
    if job.job.alive:
        return LostWorkerError(f"the worker in {job.description} is gone{log_tail(job)}")
    return LostWorkerError(_end(job))


def log_tail(job: WorkerJob) -> str:
    """Return the last lines of the job's log, with its path, as the end of a message."""
    try:
        with job.log.open("rb") as stream:
            stream.seek(max(0, job.log.stat().st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return f"\nits log {job.log} does not exist: can the node write to that folder?"
    lines = text.strip().splitlines()[-_TAIL_LINES:]
    if not lines:
        return f"\nits log {job.log} is empty"
    return f"\nthe end of its log {job.log}:\n" + "\n".join(f"  | {line}" for line in lines)


def _startup_error(job: WorkerJob) -> StageError:
    text = f"{_end(job)} before its worker had started"
    if job.job.state in _ENDED_FROM_OUTSIDE:
        return LostWorkerError(text)
    return StageError(f"{text}{log_tail(job)}")


def _end(job: WorkerJob) -> str:
    """Say how a job ended."""
    reason = job.job.reason
    why = "" if reason in ("", "None", job.job.state) else f" ({reason})"
    return f"{job.description} ended as {job.job.state}{why}"
