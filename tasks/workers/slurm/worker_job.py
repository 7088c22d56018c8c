"""One job of a workforce: how far it is, who uses it, and why it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from qsm_core.errors import StageError
from tasks.run.handle import LostWorkerError
from tasks.workers.slurm.cluster import QsmCluster
from tasks.workers.slurm.jobs import Job
from tasks.workers.slurm.profile_schema import ResourceClass
from tasks.workers.slurm.units import format_memory

# SLURM shows a new job, and forgets an old one, with some delay.
_MISSING_S = 30.0
_END_WITHIN_S = 30.0
_YOUNG_S = 60.0
_TAIL_LINES = 15
_TAIL_BYTES = 20_000
# A job that has less than this share of a walltime left does not begin another stage.
_LEAST_TIME_LEFT = 0.5
# These ends say nothing about the job itself: another one may well go through.
_FROM_OUTSIDE = frozenset({"CANCELLED", "PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "GONE", "REVOKED"})


@dataclass(eq=False)
class Member:
    """A job and the worker in it.

    Args:
        worker: Name of the worker.
        request: What the job was asked for with.
        job: What SLURM said last.
        log: Where its output goes.
        cluster: Knows whether the worker is there.
    """

    worker: str
    request: ResourceClass
    job: Job
    log: Path
    cluster: QsmCluster
    submitted: float = field(default_factory=time.monotonic)
    stages: list[str] = field(default_factory=list)
    owner: str | None = None
    inspected: bool = False
    ending: bool = False
    discarded: bool = False
    _joined: float | None = None
    _free_since: float = field(default_factory=time.monotonic)
    _seen: float = field(default_factory=time.monotonic)

    @property
    def address(self) -> str | None:
        """Address of the worker while it is there."""
        found = self.cluster.address_of(self.worker)
        if found is not None and self._joined is None:
            self._joined = time.monotonic()
        return found

    @property
    def told(self) -> str:
        """The job in words."""
        return self.job.told

    @property
    def free(self) -> bool:
        """Whether a stage can take it."""
        waits = self.owner is None and not self.ending and not self.discarded
        return waits and self.inspected and self.address is not None

    @property
    def changes_soon(self) -> bool:
        """Whether SLURM's view of the job is likely to change within seconds."""
        young = time.monotonic() - self.submitted < _YOUNG_S
        on_its_way = self.ending or self.discarded or (young and self._joined is None)
        return self.job.alive and (on_its_way or not (self.job.pending or self._joined))

    def fits(self, request: ResourceClass) -> bool:
        """Say whether it is as large as asked for and has enough of the walltime left."""
        begun = self._joined if self._joined is not None else time.monotonic()
        left_s = self.request.walltime - (time.monotonic() - begun)
        large = self.request.memory >= request.memory and self.request.cores >= request.cores
        return large and left_s >= _LEAST_TIME_LEFT * request.walltime

    def taken_by(self, stage: str) -> None:
        """Give the job to a stage."""
        self.owner = stage

    def given_back(self) -> None:
        """Note that the stage needs it no more."""
        self.owner = None
        self._free_since = time.monotonic()

    def discard(self) -> None:
        """Let nobody take the job after this."""
        self.discarded = True

    def is_superfluous(self) -> bool:
        """Say whether the job should end: nobody may take it, or nobody did for a while."""
        if self.ending or self.owner is not None or not self.job.alive:
            return False
        return self.discarded or time.monotonic() - self._free_since > self.request.keep_idle

    def lost(self) -> bool:
        """Say whether its worker is gone."""
        return self.address is None

    def running_s(self) -> float:
        """Return for how long it has run, by SLURM's word."""
        return self.job.elapsed_s

    def update(self, job: Job | None) -> None:
        """Take what SLURM says; None where it does not know the job, which may be a delay."""
        now = time.monotonic()
        if job is not None:
            self.job, self._seen = job, now
        elif self.job.alive and now - self._seen > _MISSING_S:
            self.job = replace(self.job, state="GONE", reason="SLURM does not know it any more")

    def record(self, resource: str) -> Job:
        """Return what is known of the job, with what was done in it."""
        return replace(
            self.job, resource=resource, gpus=self.request.gpus, stages=tuple(self.stages)
        )

    def wait_for_end(self, limit_s: float = _END_WITHIN_S) -> None:
        """Wait, for a while, until SLURM says that the job has ended; somebody else asks it."""
        deadline = time.monotonic() + limit_s
        while self.job.alive and time.monotonic() < deadline:
            time.sleep(0.2)

    def error_at_start(self) -> StageError:
        """Return why a job ended before its worker was there."""
        if self.job.state in _FROM_OUTSIDE:
            return LostWorkerError(f"{self._ended()} before its worker had started")
        return StageError(f"{self._ended()} at its start{self.log_tail()}")

    def error_when_lost(self) -> StageError:
        """Return why a worker went away under a stage."""
        if self.job.state == "OUT_OF_MEMORY":
            return StageError(
                f"{self._ended()}: the stage needs more than {format_memory(self.request.memory)}; "
                f"raise `memory` of its class or stage in the profile{self.log_tail()}"
            )
        if self.job.alive:
            return LostWorkerError(f"the worker in {self.told} is gone{self.log_tail()}")
        return LostWorkerError(self._ended())

    def log_tail(self) -> str:
        """Return the last lines of the job's log, with its path, as the end of a message."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                text = stream.read().decode(errors="replace")
        except OSError:
            return f"\nits log, {self.log}, is not there: can the node write to that folder?"
        lines = text.strip().splitlines()[-_TAIL_LINES:]
        if not lines:
            return f"\nits log, {self.log}, is empty"
        return f"\nthe end of its log, {self.log}:\n" + "\n".join(f"  | {one}" for one in lines)

    def _ended(self) -> str:
        reason = self.job.reason
        why = "" if reason in ("", "None", self.job.state) else f" ({reason})"
        return f"{self.told} ended as {self.job.state}{why}"


@dataclass(frozen=True)
class Place:
    """One job, taken by one stage; see `tasks.workers.resources.JobPlace`."""

    member: Member
    why_lost: Callable[[], StageError]

    @property
    def worker(self) -> str:
        """Address of its Dask worker; empty when it is gone."""
        return self.member.address or ""

    @property
    def told(self) -> str:
        """The job in words."""
        return self.member.told

    def lost(self) -> bool:
        """Say whether its worker is gone."""
        return self.member.lost()

    def discard(self) -> None:
        """Let nobody take the job after this."""
        self.member.discard()
