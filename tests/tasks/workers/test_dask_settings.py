from __future__ import annotations

import os
from typing import Any

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
