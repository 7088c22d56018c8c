"""Runs whose worker is gone: Prefect would show them as running for ever."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

MESSAGE = "The service was stopped. Press Retry: what is finished is reused."


def end_interrupted_runs(api_url: str, work_pool: str) -> int:
    """Mark as crashed each run of a pool that looks alive. Only while the pool has no worker.

    Args:
        api_url: Address of the API.
        work_pool: Name of the pool.

    Returns:
        How many there were.
    """
    alive = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    wanted = {"flow_runs": alive, "work_pools": {"name": {"any_": [work_pool]}}}
    runs = _post(f"{api_url}/flow_runs/filter", wanted)
    for run in runs:
        # Without force, so that Prefect gives back the run's place in the deployment's queue.
        state = {"type": "CRASHED", "name": "Crashed", "message": MESSAGE}
        _post(f"{api_url}/flow_runs/{run['id']}/set_state", {"state": state})
    return len(runs)


def _post(url: str, body: object) -> Any:
    request = urllib.request.Request(  # noqa: S310 our own server
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 our own server
        return json.load(answer)
