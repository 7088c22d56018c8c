"""Workers on this machine: processes that are started with the first stage and end with the run.

Class `cpu` gets a number of processes that share the cores. Class `gpu` gets one process for each
GPU, which sees that GPU alone; without a GPU it shares the processes of class `cpu`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import LocalCluster, Nanny

from qsm_core.store.spec import StageDefinition
from tasks.workers.dask_settings import DASK_SETTINGS
from tasks.workers.gpus import visible_gpus
from tasks.workers.resources import THREAD_VARIABLES, WorkerPool


@dataclass(frozen=True)
class LocalProfile:
    """Worker processes on this machine; a `ResourceProfile`.

    Args:
        cpu: Serves class `cpu`.
        gpu: Serves class `gpu`.
    """

    cpu: WorkerPool
    gpu: WorkerPool
    name: str = "local"

    def pool(self, definition: StageDefinition) -> WorkerPool:
        """Return the pool that serves a stage."""
        return self.gpu if definition.resource == "gpu" else self.cpu

    @property
    def named_outputs(self) -> Collection[str]:
        """Names of single outputs of a run for which it has values: none."""
        return ()

    def prepare(self, definitions: Collection[StageDefinition]) -> None:
        """Do nothing: whatever this machine lacks, the stage itself reports."""


def local_profile(workers: int = 2, *, gpus: int | None = None) -> LocalProfile:
    """Return the profile of this machine.

    Args:
        workers: Worker processes for class `cpu`; the cores are shared out among them.
        gpus: How many of the visible GPUs to use at most; None uses all.
    """
    devices = [gpu.selector for gpu in visible_gpus()[:gpus]]
    threads = max(1, (os.cpu_count() or 1) // workers)
    cpu = WorkerPool(
        "local-cpu",
        partial(local_cluster, workers, threads),
        threads,
        facts={"workers": workers, "cores": threads},
    )
    if not devices:
        return LocalProfile(cpu=cpu, gpu=cpu)
    gpu_threads = max(1, (os.cpu_count() or 1) // len(devices))
    gpu = WorkerPool(
        "local-gpu",
        partial(local_cluster, len(devices), gpu_threads, devices),
        gpu_threads,
        resource="gpu",
        subprocess=True,  # the next stage finds all of the GPU's memory free
        facts={"workers": len(devices), "cores": gpu_threads, "gpus": 1},
    )
    return LocalProfile(cpu=cpu, gpu=gpu)


def local_cluster(workers: int, threads: int, devices: Sequence[str] = ()) -> Any:
    """Start worker processes on this machine, reachable only from it.

    Args:
        workers: Number of processes; each runs one stage at a time.
        threads: Threads of numerics in each process.
        devices: CUDA_VISIBLE_DEVICES of each process. Empty: that of this process.
    """
    environment = dict.fromkeys(THREAD_VARIABLES, str(threads))
    own_gpu = {"worker_class": _GpuNanny, "devices": tuple(devices)} if devices else {}
    make: Any = LocalCluster  # has no types
    with _sigint_blocked(), dask.config.set(DASK_SETTINGS):
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
            env=environment,
            **own_gpu,
        )


class _GpuNanny(Nanny):
    """Starts a worker process, also after it died, with one GPU visible to it."""

    def __init__(
        self,
        scheduler: str,
        *,
        name: int,
        devices: Sequence[str],
        env: Mapping[str, str],
        **options: Any,
    ) -> None:
        """Take the device at the place that the worker's number gives."""
        own = {**env, "CUDA_VISIBLE_DEVICES": devices[name]}
        super().__init__(scheduler, name=name, env=own, **options)


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Keep the Ctrl-C of the terminal from processes that are started in the block.

    The flow receives it and closes the cluster; a worker that received it too would print its
    traceback meanwhile. Threads and processes inherit the signal mask under which they start.
    """
    resource_tracker.ensure_running()  # starting it within the block would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
