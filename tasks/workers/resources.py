"""Resource classes: a stage names one (`cpu`, `gpu`), a profile says how to get workers for it.

A profile maps each stage to a pool of Dask workers, which is made when the first stage needs it.
The profile of this machine is in `tasks.workers.local`, that of a cluster in
`tasks.workers.slurm.profile`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from qsm_core.errors import StageError
from qsm_core.store.spec import StageDefinition
from tasks.workers.job import Job

# Each library reads its own name for the number of threads.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class JobPool(Protocol):
    """The jobs of a batch system that a pool's workers live in; see `slurm.job_pool`."""

    def acquire(
        self, pool: WorkerPool, stage: str, on_wait: Callable[[str], None]
    ) -> AbstractContextManager[AcquiredJob]:
        """Give one job for the time of the block; `on_wait` receives what is waited for."""

    def records(self) -> tuple[Job, ...]:
        """Return what is known of every job that was submitted."""

    def stop(self) -> None:
        """Cancel every job, and give out none any more."""

    def close(self) -> None:
        """Stop, and wait for a while until every job has ended."""


class AcquiredJob(Protocol):
    """One job of a batch system while a stage has it."""

    @property
    def address(self) -> str | None:
        """Address of its Dask worker; None when that is gone."""

    @property
    def description(self) -> str:
        """Number and node of the job."""

    def is_lost(self) -> bool:
        """Say whether its worker is gone."""

    def loss_reason(self) -> StageError:
        """Return why the worker is gone, after asking the batch system."""

    def discard(self) -> None:
        """Let no further stage take the job."""


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
        open_job_pool: Takes the Dask client of the cluster; None where workers are there at once.
        most_stages: How many stages are queued at once. Each keeps a thread of the flow busy; a
            thousand starved the connection to the scheduler until it broke.
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
    request: Any = None  # of the kind that its job pool understands
    make_script: Callable[[], str] | None = None
    open_job_pool: Callable[[Any], JobPool] | None = None
    most_stages: int = 64

    @property
    def runtime(self) -> dict[str, object]:
        """How a stage runs here, where it says nothing itself; it changes no result."""
        values: dict[str, object] = {"threads": self.threads, "subprocess": self.subprocess}
        return values if self.timeout_s is None else {**values, "timeout_s": self.timeout_s}

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

    @property
    def named_outputs(self) -> Collection[str]:
        """Names of single outputs of a run for which it has values."""

    def pool(self, definition: StageDefinition) -> WorkerPool:
        """Return the pool that serves a stage."""

    def prepare(self, definitions: Collection[StageDefinition]) -> None:
        """Refuse what cannot work for these stages, before anything is queued.

        Raises:
            ConfigurationError: Says what.
        """
