"""What a Prefect server knows of the runs of one test, read over its HTTP API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

# How long news of task runs may be on its way after the end of their flow.
_NEWS_S = 2.0
# Types of state in which nothing happens any more.
ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True)
class TaskRecord:
    """A task run: the stage that it was for, the start of its key, and how it ended."""

    id: str
    stage: str
    key8: str
    state: str
    message: str


@dataclass(frozen=True)
class Server:
    """A Prefect server at the address of its API."""

    api_url: str

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what the API answers to a POST with `body`, or to a GET without one.

        A server that is too busy for its database says so with a 503, and is asked again.
        """
        request = urllib.request.Request(
            f"{self.api_url}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                error.close()  # it holds the connection
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    raise
            time.sleep(1)

    def flow_runs(self, results: Path) -> list[dict[str, Any]]:
        """Return the flow runs whose results go below `results`, in the order of their start."""
        runs = self.ask("flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC", "limit": 200})
        mine = [run for run in runs if run["parameters"].get("results") == str(results)]
        return sorted(mine, key=lambda run: str(run["created"]))

    def flow_run(self, flow_run_id: str) -> dict[str, Any]:
        """Return one flow run."""
        return dict(self.ask(f"flow_runs/{flow_run_id}"))

    def task_run_ids(self, flow_run_id: str) -> frozenset[str]:
        """Return the ids of the task runs of a flow run that are known by now."""
        return frozenset(run["id"] for run in self._task_runs(flow_run_id))

    def task_runs(
        self, flow_run_id: str, *, besides: frozenset[str] = frozenset()
    ) -> list[TaskRecord]:
        """Return the task runs of a flow run once all have ended: news of them comes late.

        Args:
            flow_run_id: Of the flow run.
            besides: Ids of task runs to leave out: those of an earlier attempt of the run.
        """

        def read() -> list[dict[str, Any]]:
            return [run for run in self._task_runs(flow_run_id) if run["id"] not in besides]

        known: list[set[str] | None] = [None]

        def settled() -> bool:
            runs = read()
            known.append({run["id"] for run in runs})
            if known[-1] != known[-2]:  # the server hears of a task run after its flow has ended
                time.sleep(_NEWS_S)
                return False
            return all(run["state_type"] in ENDED for run in runs)

        wait_for(settled, "the end of all task runs")
        return [_record(run) for run in read()]

    def _task_runs(self, flow_run_id: str) -> list[dict[str, Any]]:
        return list(self.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [flow_run_id]}}}))

    def states(self, flow_run_id: str) -> dict[str, str]:
        """Return how each stage ended, by its name, once all have ended."""
        runs = self.task_runs(flow_run_id)
        states = {run.stage: run.state for run in runs}
        if len(states) != len(runs):
            raise RuntimeError(f"a stage has more than one task run: {runs}")
        return states


def _record(run: dict[str, Any]) -> TaskRecord:
    stage, _, key8 = run["name"].rpartition("-")
    message = str((run["state"] or {}).get("message") or "")
    return TaskRecord(run["id"], stage, key8, run["state_name"], message)


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> float:
    """Wait until a condition holds, and return how many seconds that took.

    Raises:
        TimeoutError: It does not in time; names what was waited for.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() > began + timeout_s:
            raise TimeoutError(f"{what}: not in {timeout_s:.0f} s")
        time.sleep(0.2)
    return round(time.monotonic() - began, 1)
