"""A run of a deployment that failed is resumed in each of the three ways that Prefect offers.

A real process worker serves the deployment. Whichever way is taken, what was finished is `Cached`
and the run ends well.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.finished import FinishedRun, remove_outputs
from tests.support.holding import SEARCH_EVENT, Hold
from tests.support.pipeline import ROOT, STAGES, PrefectService, processes_with
from tests.support.server_records import ENDED, Server, wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow]

MARK = "QSM_TEST_SERVED"
CACHED = dict.fromkeys(STAGES, "Cached")


@dataclass(frozen=True)
class Served:
    """A worker that serves the deployments, and the folder in which its runs work.

    Its store is a copy of that of the finished run, without an evaluation, a search and the report.
    """

    service: PrefectService
    finished: FinishedRun
    folder: Path
    worker: psutil.Process
    hold: Hold

    @property
    def server(self) -> Server:
        return Server(self.service.api_url)

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def run_deployment(self) -> str:
        """Start a run of the deployment, as the form of the UI does; return its id."""
        deployment = self.server.ask("deployments/name/complete-pipeline/embedded")
        values = {
            **self.finished.parameters,
            "workers": 2,  # the evaluation goes on while the search is held
            "model": str(self.model),
            "store": str(self.folder / "store"),
            "results": str(self.folder / "results"),
        }
        body = {"parameters": values, "state": {"type": "SCHEDULED"}}
        return str(self.server.ask(f"deployments/{deployment['id']}/create_flow_run", body)["id"])

    def wait_for_end(self, flow_run_id: str, run_count: int = 1) -> dict[str, Any]:
        """Wait until an attempt of a flow run has ended, and return the flow run."""

        def ended() -> bool:
            run = self.server.flow_run(flow_run_id)
            return run["run_count"] >= run_count and run["state_type"] in ENDED

        wait_for(ended, f"the end of attempt {run_count} of the run", timeout_s=500)
        return self.server.flow_run(flow_run_id)

    def outputs(self, stage: str = "*") -> set[str]:
        """Return the first digits of the keys of all finished outputs, or of one kind of stage."""
        found = self.folder.glob(f"store/outputs/{stage}/*/manifest.json")
        return {path.parent.name[:8] for path in found}

    def kill_flow(self) -> None:
        """Kill the process of the flow run that the worker runs now.

        The worker reports a crash when the process has ended, and once more some seconds later,
        when it has looked for hooks. Whoever retries in between is marked as crashed by the second
        report, although the new process goes on; so both are waited for.
        """
        (flow,) = self.worker.children()
        flow.send_signal(signal.SIGKILL)
        log = self.folder / "worker.log"
        text = "prefect.flow_runs.worker - Check whether the flow run exceeded its memory"
        wait_for(lambda: text in log.read_text(), "the worker's second report of the crash")


@pytest.fixture(scope="module")
def served(
    finished_run: FinishedRun,
    prefect_service: PrefectService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(finished_run.model, folder / "model")
    finished_run.copy_store(folder / "store", without=["baseline", "opro_base", "report"])
    hold = Hold.make(folder / "hold", {"search": (SEARCH_EVENT, 2)})
    environment = {
        **prefect_service.environment,
        "QSM_HOME": str(folder),
        "PYTHONPATH": os.pathsep.join([str(hold.folder), str(ROOT)]),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        MARK: folder.name,
    }
    register = "from deployments.service import register_deployments; register_deployments()"
    subprocess.run([sys.executable, "-c", register], env=environment, cwd=ROOT, check=True)
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "qsm-local"]
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--type", "process"],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    serving = psutil.Process(worker.pid)
    try:
        yield Served(prefect_service, finished_run, folder, serving, hold)
        # A worker that is stopped while a run of its ends may hang for good.
        wait_for(lambda: not serving.children(), "the end of the last run's process")
    finally:
        worker.terminate()
        try:
            worker.wait(timeout=10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    wait_for(lambda: not processes_with(MARK, folder.name), "the end of all processes")


@dataclass(frozen=True)
class Resumed:
    """A run that was killed and then retried."""

    flow_run_id: str
    crashed: dict[str, Any]
    finished_before: set[str]
    states: dict[str, str]
    keys: dict[str, str]
    ended: dict[str, Any]


@pytest.fixture(scope="module")
def retried_in_the_ui(served: Served) -> Resumed:
    """A run whose flow process is killed in the middle, then retried as the UI's button does."""
    before = served.outputs("evaluate")
    flow_run_id = served.run_deployment()
    served.hold.wait("search")
    # Its shards end before it.
    wait_for(lambda: bool(served.outputs("evaluate") - before), "the end of the evaluation")
    served.kill_flow()
    crashed = served.wait_for_end(flow_run_id)
    finished = served.outputs()
    earlier = served.server.task_run_ids(flow_run_id)
    state = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
    served.server.ask(f"flow_runs/{flow_run_id}/set_state", {"state": state})
    ended = served.wait_for_end(flow_run_id, run_count=2)
    runs = served.server.task_runs(flow_run_id, besides=earlier)
    return Resumed(
        flow_run_id,
        crashed,
        finished,
        {run.stage: run.state for run in runs},
        {run.stage: run.key8 for run in runs},
        ended,
    )


def test_retry_of_the_ui_after_a_kill(retried_in_the_ui: Resumed) -> None:
    resumed = retried_in_the_ui
    assert resumed.crashed["state_name"] == "Crashed"
    assert resumed.ended["state_name"] == "Completed"
    assert resumed.ended["id"] == resumed.crashed["id"]
    assert resumed.ended["parameters"] == resumed.crashed["parameters"]
    assert set(resumed.states) == set(STAGES)
    # The evaluation had ended when the search was killed.
    assert resumed.keys["baseline"] in resumed.finished_before
    # Its worker may end the search when it is asked to stop; the report needs the flow.
    assert resumed.keys["report"] not in resumed.finished_before
    assert resumed.states == {
        stage: "Cached" if key in resumed.finished_before else "Completed"
        for stage, key in resumed.keys.items()
    }


@pytest.mark.usefixtures("retried_in_the_ui")
def test_retry_of_the_command_line_after_a_missing_model(served: Served) -> None:
    away = served.model.rename(served.folder / "away")
    flow_run_id = served.run_deployment()
    failed = served.wait_for_end(flow_run_id)
    assert failed["state_name"] == "Failed"
    assert f"{served.model} is no folder" in failed["state"]["message"]
    assert served.server.task_run_ids(flow_run_id) == frozenset()

    away.rename(served.model)
    subprocess.run(
        [sys.executable, "-m", "prefect", "flow-run", "retry", flow_run_id],
        env=served.service.environment,
        check=True,
        timeout=120,
    )
    ended = served.wait_for_end(flow_run_id, run_count=2)
    assert ended["state_name"] == "Completed"
    assert served.server.states(flow_run_id) == CACHED


@pytest.mark.usefixtures("retried_in_the_ui")
def test_another_run_of_the_deployment_after_a_stage_failed(served: Served) -> None:
    remove_outputs(served.folder / "store", ["baseline"])
    weights = served.model / "model.safetensors"
    whole = weights.read_bytes()
    # A file that is whole, so that only a stage can find that its tensors are not the model's.
    weights.write_bytes(whole.replace(b"language_model", b"languagg_model"))
    failed = served.wait_for_end(served.run_deployment())
    assert failed["state_name"] == "Failed"
    shown = failed["state"]["message"]
    assert "stage lora failed" in shown
    assert "stage baseline failed" in shown
    assert "what is finished is reused" in shown
    assert served.server.states(failed["id"])["corpus"] == "Cached"

    weights.write_bytes(whole)
    ended = served.wait_for_end(served.run_deployment())
    assert ended["state_name"] == "Completed"
    assert served.server.states(ended["id"]) == {**CACHED, "baseline": "Completed"}
