"""A job of SLURM with one Dask worker in it: how far it is, and which stage has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from qsm_core.errors import StageError
from tasks.workers.job import Job
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.commands import SlurmRefusedError
from tasks.workers.slurm.jobs import find_state
from tasks.workers.slurm.profile_schema import ResourceClass

# SLURM shows a new job, and forgets an old one, with some delay.
_MISSING_S = 30.0
_END_WITHIN_S = 30.0
_YOUNG_S = 60.0
# A job that has less than this share of a stage's walltime left does not begin that stage.
_LEAST_TIME_LEFT = 0.5


@dataclass(eq=False)
class WorkerJob:
    """A job that was submitted, and the worker in it; an `AcquiredJob` while a stage has it.

    Args:
        worker: Name of the Dask worker.
        request: What the job asks for.
        job: What SLURM reported last.
        log: File of the job's output.
        cluster: Knows whether the worker has joined.
        explain_loss: Queries SLURM for why the worker is gone.
        submitted: When, by the monotonic clock.
        stages: That ran in it, in order.
        stage: That has the job now.
        checked: Whether the worker was compared with the flow.
        ending: Whether the job was told to end.
        discarded: Whether no further stage may take it.
        unlisted_because: Why nothing is known of it: SLURM's words, where squeue does not list it
            and no other answer can be read.
    """

    worker: str
    request: ResourceClass
    job: Job
    log: Path
    cluster: QsmCluster
    explain_loss: Callable[[WorkerJob], StageError]
    submitted: float = field(default_factory=time.monotonic)
    stages: list[str] = field(default_factory=list)
    stage: str | None = None
    checked: bool = False
    ending: bool = False
    discarded: bool = False
    unlisted_because: str = ""
    _joined: float | None = None
    _free_since: float = field(default_factory=time.monotonic)
    _last_reported: float = field(default_factory=time.monotonic)

    @property
    def address(self) -> str | None:
        """Address of the worker while it is there."""
        address = self.cluster.address_of(self.worker)
        if address is not None and self._joined is None:
            self._joined = time.monotonic()
        return address

    @property
    def description(self) -> str:
        """Number and node of the job, for messages."""
        return self.job.description

    @property
    def is_free(self) -> bool:
        """Whether a stage can take it."""
        available = self.stage is None and not self.ending and not self.discarded
        return available and self.checked and self.address is not None

    @property
    def is_superfluous(self) -> bool:
        """Whether it should end: no stage may take it, or none did within `keep_idle`."""
        if self.ending or self.stage is not None or not self.job.alive:
            return False
        return self.discarded or time.monotonic() - self._free_since > self.request.keep_idle

    @property
    def changes_soon(self) -> bool:
        """Whether SLURM's report of the job is likely to change within seconds."""
        young = time.monotonic() - self.submitted < _YOUNG_S
        in_transition = self.ending or self.discarded or (young and self._joined is None)
        return self.job.alive and (in_transition or not (self.job.pending or self._joined))

    def fits(self, request: ResourceClass) -> bool:
        """Say whether it is large enough for a request and has enough of its walltime left."""
        began = self._joined if self._joined is not None else time.monotonic()
        left_s = self.request.walltime - (time.monotonic() - began)
        return self.request.has_room_for(request) and left_s >= _LEAST_TIME_LEFT * request.walltime

    def assign(self, stage: str) -> None:
        """Give the job to a stage."""
        self.stage = stage

    def release(self) -> None:
        """Note that its stage needs it no more."""
        self.stage = None
        self._free_since = time.monotonic()

    def discard(self) -> None:
        """Let no further stage take the job."""
        self.discarded = True

    def is_lost(self) -> bool:
        """Say whether its worker is gone."""
        return self.address is None

    def loss_reason(self) -> StageError:
        """Return why its worker is gone, after querying SLURM."""
        return self.explain_loss(self)

    @property
    def is_unlisted(self) -> bool:
        """Whether it should be there, and SLURM has not listed it for longer than a delay."""
        return self.job.alive and time.monotonic() - self._last_reported > _MISSING_S

    def update(self, job: Job | None) -> None:
        """Take what SLURM reports; None where it does not list the job, which may be a delay."""
        if job is not None:
            self.job, self._last_reported, self.unlisted_because = job, time.monotonic(), ""

    def look_up(self) -> None:
        """Ask SLURM for this job alone: a list may leave out a job that is there."""
        try:
            found = find_state(self.job.job_id)
        except SlurmRefusedError as error:
            self.unlisted_because = str(error)
            return
        state, reason = found or ("GONE", "SLURM does not know it any more")
        self.update(replace(self.job, state=state, reason=reason))

    def record(self, resource: str) -> Job:
        """Return what is known of the job, with the stages that ran in it."""
        return replace(
            self.job, resource=resource, gpus=self.request.gpus, stages=tuple(self.stages)
        )

    def wait_for_end(self, limit_s: float = _END_WITHIN_S) -> None:
        """Wait until SLURM reports that the job has ended, for a limited time."""
        deadline = time.monotonic() + limit_s
        while self.job.alive and time.monotonic() < deadline:
            time.sleep(0.2)
