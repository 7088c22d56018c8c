"""A flow with one toy stage that counts, on a SLURM cluster.

    python -m tests.support.slurm_toy_flow FOLDER PACKAGE PROFILE N SECONDS

It prints the id of its run, a line for each event of the stage, and at last what the stage
returned. It stands in a module of its own because a worker of Prefect imports it, too.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.run.managed_run import managed_run
from qsm_core.store.store import Store
from tasks.run.events import StageEvent
from tasks.run.runner import StageRunner
from tasks.workers.slurm.profile import slurm_profile
from tests.support.toy_stages import CountConfig, count_stage

SAID = "one, two, many"  # what the stage prints


@flow(name="slurm-toy", persist_result=False)
@managed_run
def count_on_slurm(
    folder: str, package: str, profile: str, n: int, seconds: float
) -> dict[str, Any]:
    """Count to n, one step every so many seconds."""
    print(f"id={flow_run.id}", flush=True)
    store = Path(folder) / "store"
    runtime = {"seconds": seconds, "log": f"{folder}/attempts.txt", "say": SAID}
    with StageRunner(Store(store), slurm_profile(profile, store), on_event=_show) as runner:
        config = CountConfig(n)
        handle = runner.submit(count_stage(package), config, name="counted", runtime=runtime)
        return dict(handle.result().summary)


def _show(event: StageEvent) -> None:
    print(event.kind, event.message, flush=True)


if __name__ == "__main__":
    # As in a terminal: a shell that starts the tests in the background has it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    where, of, on, n, seconds = sys.argv[1:]
    print(json.dumps(count_on_slurm(where, of, on, int(n), float(seconds))), flush=True)
