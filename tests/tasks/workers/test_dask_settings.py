from __future__ import annotations

import os
import signal
import time
from typing import Any

import dask
from distributed import Client

from tasks.workers.local import local_cluster


def _state(dask_worker: Any) -> list[str]:
    return sorted(dask_worker.periodic_callbacks)


def _allocator() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("MALLOC_")}


def test_workers_do_not_look_into_running_threads() -> None:
    with local_cluster(1, 1) as cluster, Client(cluster) as client:
        (callbacks,) = client.run(_state).values()
    assert "heartbeat" in callbacks
    assert not any("profile" in name for name in callbacks)


def test_workers_leave_the_allocator_alone() -> None:
    with local_cluster(1, 1) as cluster, Client(cluster) as client:
        (found,) = client.run(_allocator).values()
    assert found == _allocator()


def test_a_worker_that_was_suspended_goes_on() -> None:
    """As by the lid of a laptop. Dask gives one up that is silent for `worker-ttl`, by default five
    minutes; here the user's own setting says a second, which Dask takes as five, and has no effect.
    """  # fmt: skip
    short = {"distributed.scheduler.worker-ttl": "1s"}
    with dask.config.set(short), local_cluster(1, 1) as cluster, Client(cluster) as client:
        pid = client.submit(os.getpid).result(timeout=60)
        work = client.submit(time.sleep, 0.5)
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(8)
        finally:
            os.kill(pid, signal.SIGCONT)
        work.result(timeout=60)
        assert client.submit(os.getpid, pure=False).result(timeout=60) == pid
