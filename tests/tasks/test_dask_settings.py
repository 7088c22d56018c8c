from __future__ import annotations

from typing import Any

from distributed import Client

from tasks.resources import local_cluster


def _state(dask_worker: Any) -> list[str]:
    return sorted(dask_worker.periodic_callbacks)


def test_workers_do_not_look_into_running_threads() -> None:
    with local_cluster(1, 1) as cluster, Client(cluster) as client:
        (callbacks,) = client.run(_state).values()
    assert "heartbeat" in callbacks
    assert not any("profile" in name for name in callbacks)
