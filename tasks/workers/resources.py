"""Where stages run: a profile says, for each resource class, how to get workers.

A stage names its class (`cpu` or `gpu`); the profile maps it to a pool of Dask workers. The
pool is made when the first stage needs it. Profile `local` needs nothing but this machine; the
pools of a cluster stand in `tasks.workers.slurm`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from qsm_core.errors import StageError
from qsm_core.store.spec import StageDefinition
from tasks.workers.slurm.jobs import Job
from tasks.workers.slurm.profile_schema import ResourceClass

# Each library reads its own name for the number of threads.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Jobs(Protocol):
    """The jobs of a batch system that a pool's workers live in; see `slurm.workforce`."""

    def place(
        self, pool: WorkerPool, stage: str, tell: Callable[[str], None]
    ) -> AbstractContextManager[JobPlace]:
        """Give one job for the time of the block; `tell` is told what is waited for."""

    def records(self) -> tuple[Job, ...]:
        """Return what is known of every job that was submitted."""

    def stop(self) -> None:
        """Cancel every job, and give none any more."""

    def close(self) -> None:
        """Stop, and wait for a while until every job has ended."""


class JobPlace(Protocol):
    """One job of a batch system, taken by one stage."""

    @property
    def worker(self) -> str:
        """Address of its Dask worker."""

    @property
    def told(self) -> str:
        """The job in words: its number and its node."""

    def lost(self) -> bool:
        """Say whether its worker is gone."""

    def why_lost(self) -> StageError:
        """Return why it is gone, as an error, after asking the batch system."""

    def discard(self) -> None:
        """Let nobody take the job after this."""


@dataclass(frozen=True)
class WorkerPool:
    """How to get the workers of one pool.

    Args:
        name: Name of the pool; resource classes with the same pool share its workers.
        make_cluster: Makes the Dask cluster; called on the first stage that needs it.
        threads: Threads of one worker's numerics, for stages that say nothing themselves.
        close_when_idle: Whether to give the workers back once no stage that was submitted
            needs them; right where somebody else waits for them.
        resubmissions: How often a stage is submitted again after it lost its worker, or was asked
            to stop and has kept its work.
        resource: The resource class that it serves.
        subprocess: Whether each stage runs in a process of its own.
        timeout_s: Longest time of one attempt at a stage, which then runs in a process of its own;
            None for any.
        facts: What its workers are, for the plan.
        request: What one job asks for, where workers live in jobs.
        make_script: Makes the script that would be submitted for a worker, where there is one.
        open_jobs: Takes the Dask client of the cluster; None where workers are there at once.
    """

    name: str
    make_cluster: Callable[[], Any]
    threads: int
    close_when_idle: bool = False
    resubmissions: int = 0
    resource: str = "cpu"
    subprocess: bool = False
    timeout_s: float | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    request: ResourceClass | None = None
    make_script: Callable[[], str] | None = None
    open_jobs: Callable[[Any], Jobs] | None = None

    @property
    def runtime(self) -> dict[str, object]:
        """How a stage runs here, where it says nothing itself; it changes no result."""
        told: dict[str, object] = {"threads": self.threads, "subprocess": self.subprocess}
        return told if self.timeout_s is None else {**told, "timeout_s": self.timeout_s}

    def describe(self) -> dict[str, object]:
        """Return the resource class, and what its jobs are where it has jobs."""
        return {"class": self.resource, **self.facts}

    def job_script(self) -> str | None:
        """Return the script that would be submitted for one worker, None where there is none."""
        return None if self.make_script is None else self.make_script()


class ResourceProfile(Protocol):
    """Maps stages to pools of workers."""

    @property
    def name(self) -> str:
        """Name of the profile."""

    def pool(self, definition: StageDefinition) -> WorkerPool:
        """Return the pool that serves a stage."""

    def prepare(self, definitions: Collection[StageDefinition]) -> None:
        """Refuse what cannot work for these stages, before anything is queued.

        Raises:
            ConfigurationError: Says what.
        """
