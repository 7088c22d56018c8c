"""Runs of many stages that do nothing, timed from the events that a run tells its user."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from prefect import flow
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from flows.terminal.environment import offline_environment
from flows.terminal.loopback import free_port
from flows.terminal.server_process import loopback_server
from qsm_core.store.spec import StageDefinition
from qsm_core.store.store import Store
from tasks.run.events import StageEvent
from tasks.run.runner import StageRunner
from tasks.workers.resources import ResourceProfile

os.environ.update(offline_environment(os.environ))
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
NOTHING = StageDefinition("nothing", 1, "benchmarks.nothing")


@dataclass
class Times:
    """When each stage ended, in seconds since the run began, in the order of their ends."""

    began: float = field(default_factory=time.monotonic)
    ended: list[float] = field(default_factory=list)

    def note(self, event: StageEvent) -> None:
        """Take an event of the run."""
        if event.kind in ("finished", "reused"):
            self.ended.append(time.monotonic() - self.began)

    @property
    def first_s(self) -> float:
        """Seconds until the first stage had ended."""
        return self.ended[0]

    @property
    def each_s(self) -> float:
        """Median of the seconds between the ends of two stages."""
        return median(b - a for a, b in zip(self.ended, self.ended[1:], strict=False))

    @property
    def total_s(self) -> float:
        """Seconds until the last stage had ended."""
        return self.ended[-1]


@contextmanager
def own_server(home: Path) -> Iterator[None]:
    """Run a Prefect server for the block; this process has read its settings long before."""
    home.mkdir(parents=True)
    logging.disable(logging.WARNING)
    with loopback_server(home, free_port()) as url:
        os.environ.update(PREFECT_HOME=str(home), PREFECT_API_URL=url)
        with temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: str(home)}):
            yield
            APILogWorker.drain_all(timeout=10)


def run_nothing(store: Path, profile: ResourceProfile, count: int, *, chained: bool) -> Times:
    """Run so many stages in a flow.

    Args:
        store: Root of the store.
        profile: Where they run.
        count: How many.
        chained: Whether each waits for the one before.
    """

    @flow(name="nothing", persist_result=False)
    def stages() -> Times:
        times = Times()
        with StageRunner(Store(store), profile, on_event=times.note, run_name="nothing") as runner:
            before = None
            for number in range(count):
                before = runner.submit(
                    NOTHING,
                    name=f"n{number}",
                    config={"number": number},
                    inputs={"before": before} if chained and before is not None else {},
                )
        return times

    return stages()
