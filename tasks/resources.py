"""Where stages run: a profile says, for each resource class, how to get workers.

A stage names its class (`cpu` or `gpu`); the profile maps it to a pool of Dask workers. The
pool is made when the first stage needs it. Profile `local` needs nothing but this machine.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, Protocol

import dask
from distributed import LocalCluster

from qsm_core.store.spec import Resource

# Each library reads its own name for the number of threads.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
        losses_allowed: How often a stage is submitted again after its worker died.
    """

    name: str
    make_cluster: Callable[[], Any]
    threads: int
    annotations: Mapping[str, float] = field(default_factory=dict)
    close_when_idle: bool = False
    losses_allowed: int = 0


class ResourceProfile(Protocol):
    """Maps resource classes to pools of workers."""

    @property
    def name(self) -> str:
        """Name of the profile."""

    def pool(self, resource: Resource) -> WorkerPool:
        """Return the pool that a resource class is served by."""


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

    def pool(self, resource: Resource) -> WorkerPool:
        """Return the pool that a resource class is served by."""
        return self.gpu if resource == "gpu" else self.cpu


def local_profile(workers: int = 2, *, gpus: int | None = None) -> LocalProfile:
    """Return the profile of this machine.

    Args:
        workers: Worker processes for class `cpu`; the cores are shared out among them.
        gpus: Number of GPUs; None counts them.
    """
    gpus = count_gpus() if gpus is None else gpus
    threads = max(1, (os.cpu_count() or 1) // workers)
    cpu = WorkerPool("local-cpu", partial(local_cluster, workers, threads), threads)
    if not gpus:
        return LocalProfile(cpu=cpu, gpu=cpu)
    gpu_threads = max(1, (os.cpu_count() or 1) // gpus)
    make = partial(local_cluster, gpus, gpu_threads, {"GPU": 1.0})
    return LocalProfile(cpu=cpu, gpu=WorkerPool("local-gpu", make, gpu_threads, {"GPU": 1.0}))


def local_cluster(workers: int, threads: int, resources: Mapping[str, float] | None = None) -> Any:
    """Start worker processes on this machine, reachable only from it.

    A worker that dies is not tried again by Dask: whether another try makes sense is decided
    where the reason is known.

    Args:
        workers: Number of processes; each runs one stage at a time.
        threads: Threads of numerics in each process.
        resources: What each worker offers.
    """
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
    make: Any = LocalCluster  # has no types
    with _deaf_to_interrupts(), dask.config.set({"distributed.scheduler.allowed-failures": 0}):
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
