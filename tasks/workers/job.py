"""What is known of one job of a batch system."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

# States of a job that has not ended.
ALIVE = frozenset(
    {
        "PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "STAGE_OUT", "REQUEUED",
        "REQUEUE_HOLD", "REQUEUE_FED", "RESIZING", "SIGNALING", "SPECIAL_EXIT", "STOPPED",
        "RESV_DEL_HOLD",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """What is known of one job.

    Args:
        job_id: SLURM's number.
        name: `qsm-<run>-<resource class>`.
        state: SLURM's word: PENDING, RUNNING, COMPLETED, CANCELLED, TIMEOUT, ...
        reason: SLURM's reason for the state; "None" where it has none.
        node: Where it runs; empty before that.
        partition: Its partition.
        submitted_at: When it was submitted.
        started_at: When it began; None while it waits.
        ended_at: When it ended; None before that.
        elapsed_s: Seconds from begin to end, or until now.
        max_rss_bytes: Peak memory, where SLURM's accounting knows it.
        resource: Resource class.
        gpus: GPUs of the job.
        stages: What ran in it, in order.
        comment: Names its private folder; see `tasks.workers.slurm.script.job_comment`.
    """

    job_id: str
    name: str
    state: str
    reason: str = ""
    node: str = ""
    partition: str = ""
    submitted_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    elapsed_s: float = 0.0
    max_rss_bytes: int | None = None
    resource: str = ""
    gpus: int = 0
    stages: tuple[str, ...] = ()
    comment: str = ""

    @property
    def alive(self) -> bool:
        """Whether it waits, runs or is being cleaned up."""
        return self.state in ALIVE

    @property
    def pending(self) -> bool:
        """Whether it waits for its start."""
        return self.state in ("PENDING", "REQUEUED")

    @property
    def description(self) -> str:
        """Number and node, for messages."""
        where = f" on {self.node}" if self.node else ""
        return f"SLURM job {self.job_id}{where}"
