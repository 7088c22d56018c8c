"""Where stages run: a profile says, for each resource class, how to get workers.

A stage names its class (`cpu` or `gpu`); the profile maps it to a pool of Dask workers. The
pool is made when the first stage needs it. Profile `local` needs nothing but this machine; the
pools of a cluster stand in `tasks.workers.slurm`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol

import dask
from distributed import LocalCluster

from qsm_core.errors import StageError
from qsm_core.store.spec import StageDefinition
from tasks.workers.dask_settings import DASK_SETTINGS
from tasks.workers.profiles import ResourceClass
from tasks.workers.slurm.jobs import Job

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
        annotations: Dask resources that one stage takes, such as {"GPU": 1}.
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
        most_stages: How many stages are followed at once; each keeps a thread of the flow busy.
    """

    name: str
    make_cluster: Callable[[], Any]
    threads: int
    annotations: Mapping[str, float] = field(default_factory=dict)
    close_when_idle: bool = False
    resubmissions: int = 0
    resource: str = "cpu"
    subprocess: bool = False
    timeout_s: float | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    request: ResourceClass | None = None
    make_script: Callable[[], str] | None = None
    open_jobs: Callable[[Any], Jobs] | None = None
    most_stages: int = 64

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


@dataclass(frozen=True)
class LocalProfile:
    """Worker processes on this machine.

    Args:
        cpu: Serves class `cpu`.
        gpu: Serves class `gpu`: one worker a GPU; without a GPU the same pool as `cpu`.
    """

    cpu: WorkerPool
    gpu: WorkerPool
    name: str = "local"

    def pool(self, definition: StageDefinition) -> WorkerPool:
        """Return the pool that serves a stage."""
        return self.gpu if definition.resource == "gpu" else self.cpu

    def prepare(self, definitions: Collection[StageDefinition]) -> None:
        """Nothing can be wrong with this machine that a stage would not tell itself."""


def local_profile(workers: int = 2, *, gpus: int | None = None) -> LocalProfile:
    """Return the profile of this machine.

    Args:
        workers: Worker processes for class `cpu`; the cores are shared out among them.
        gpus: Number of GPUs; None counts them.
    """
    gpus = count_gpus() if gpus is None else gpus
    threads = max(1, (os.cpu_count() or 1) // workers)
    cpu = WorkerPool(
        "local-cpu",
        partial(local_cluster, workers, threads),
        threads,
        facts={"workers": workers, "cores": threads},
    )
    if not gpus:
        return LocalProfile(cpu=cpu, gpu=cpu)
    gpu_threads = max(1, (os.cpu_count() or 1) // gpus)
    gpu = WorkerPool(
        "local-gpu",
        partial(local_cluster, gpus, gpu_threads, {"GPU": 1.0}),
        gpu_threads,
        {"GPU": 1.0},
        resource="gpu",
        subprocess=True,  # the next stage finds all of the GPU's memory free
        facts={"workers": gpus, "cores": gpu_threads, "gpus": 1},
    )
    return LocalProfile(cpu=cpu, gpu=gpu)


def local_cluster(workers: int, threads: int, resources: Mapping[str, float] | None = None) -> Any:
    """Start worker processes on this machine, reachable only from it.

    Args:
        workers: Number of processes; each runs one stage at a time.
        threads: Threads of numerics in each process.
        resources: What each worker offers.
    """
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
    make: Any = LocalCluster  # has no types
    with _deaf_to_interrupts(), dask.config.set(DASK_SETTINGS):
        return make(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            protocol="tls://",
            security=True,  # a certificate for this run: other users of the machine stay out
            dashboard_address="127.0.0.1:0",  # None would listen on every interface
            worker_dashboard_address="127.0.0.1:0",
            memory_limit=0,  # Dask's share of the memory would end a stage that still fits
            resources=dict(resources or {}),
            env=environment,
        )


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let processes that are started in the block not hear the Ctrl-C of the terminal.

    The flow hears it and closes the cluster; a worker that heard it too would tell its traceback
    in between. A signal mask is inherited by threads and processes that are started under it.
    """
    resource_tracker.ensure_running()  # starting it within the block would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def count_gpus() -> int:
    """Count the NVIDIA GPUs that this process may use, without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/dev").glob("nvidia[0-9]*")))
