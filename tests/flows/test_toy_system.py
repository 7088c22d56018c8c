"""A system of three small files is planned, cached, sharded, forced, resumed and shown, as any is.

`tests/support/dice` holds what CONTRIBUTING tells a newcomer to write, and nothing else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from qsm_core.errors import ConfigurationError
from qsm_core.store.store import Store
from tests.support.dice.flow import throw
from tests.support.pipeline import ROOT, PrefectService, worker_processes
from tests.support.server_records import Server, wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

SIZE = {"throws": 60, "shards": 3, "workers": 1}
SHARDS = [f"throws_shard{number}of3" for number in (1, 2, 3)]


@dataclass(frozen=True)
class Lab:
    """A store in which the flow has run once, and the Prefect server that recorded it."""

    folder: Path
    server: Server
    first_run: str

    @property
    def places(self) -> dict[str, str]:
        """The parameters that say where everything is."""
        return {"store": str(self.folder / "store"), "results": str(self.folder / "results")}

    def run(self, **values: Any) -> str:
        """Run the flow again, and return the id of the flow run."""
        return _run(values=SIZE | self.places | values)

    def summary(self, stage: str) -> dict[str, Any]:
        """Return what the latest output of a stage says of itself."""
        return max(
            Store(self.folder / "store").manifests(stage), key=lambda m: m.finished_at
        ).summary


def _run(values: dict[str, Any]) -> str:
    state: Any = throw(**values, return_state=True)
    state.result()
    return str(state.state_details.flow_run_id)


@pytest.fixture(scope="module")
def lab(prefect_api: str, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    folder = tmp_path_factory.mktemp("dice")
    places = {"store": str(folder / "store"), "results": str(folder / "results")}
    return Lab(folder, Server(prefect_api), _run(values=SIZE | places))


def test_its_plan_makes_nothing(tmp_path: Path) -> None:
    places = {"store": str(tmp_path / "store"), "results": str(tmp_path / "results")}
    flags = [f"--{name}={value}" for name, value in {**SIZE, **places}.items()]
    command = [sys.executable, "-m", "tests.support.dice.flow", *flags, "--plan-only"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "at most 20 throws" in done.stderr
    assert "is decided after throws" in done.stderr
    assert "Prefect server" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_each_stage_is_a_task_of_its_own_name_with_tags(lab: Lab) -> None:
    runs = lab.server.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [lab.first_run]}}})
    keys = {run["name"].rpartition("-")[0]: run["task_key"].partition("-")[0] for run in runs}
    assert keys == dict.fromkeys(SHARDS, "throw_share") | {
        "throws": "throw_dice",
        "report": "report_dice",
    }
    tags = {run["name"].rpartition("-")[0]: set(run["tags"]) for run in runs}
    assert tags["throws_shard1of3"] == {"qsm", "throw_share", "gpu"}
    assert tags["throws"] == {"qsm", "throw_dice", "cpu"}  # it has shards to do its work
    assert tags["report"] == {"qsm", "report_dice", "cpu"}
    only = {"task_runs": {"tags": {"all_": ["throw_share"]}}}
    found = lab.server.ask("task_runs/filter", only)
    assert {run["id"] for run in found} >= {
        run["id"] for run in runs if run["task_key"].startswith("throw_share")
    }


def test_its_report_is_linked_and_its_pieces_are_artifacts(lab: Lab) -> None:
    results = lab.folder / "results" / "dice-seed42"
    assert "60 throws show" in (results / "report.html").read_text()
    assert (results / "throws" / "block0.json").is_file()
    given = {"artifacts": {"flow_run_id": {"any_": [lab.first_run]}}}
    keys = {one["key"] for one in lab.server.ask("artifacts/filter", given)}
    assert {"plan", "plan-diagram", "counts", "cost", "provenance"} <= keys


def test_shards_did_all_the_work_and_the_stage_only_gathered_it(lab: Lab) -> None:
    assert lab.summary("throw_share")["thrown"] == 20
    assert lab.summary("throw_dice") == lab.summary("throw_dice") | {"throws": 60, "thrown": 0}


def test_a_second_run_is_cached_under_the_same_tasks(lab: Lab) -> None:
    again = lab.run()
    assert lab.server.states(again) == {"throws": "Cached", "report": "Cached"}
    runs = lab.server.ask("task_runs/filter", {"flow_runs": {"id": {"any_": [again]}}})
    names = {run["task_key"].partition("-")[0] for run in runs}
    assert names == {"throw_dice", "report_dice"}


def test_a_forced_stage_is_made_again_and_what_stays_the_same_is_not(lab: Lab) -> None:
    states = lab.server.states(lab.run(force=["throws"], shards=1))
    assert states == {"throws": "Completed", "report": "Cached"}
    assert lab.summary("throw_dice")["thrown"] == 60
    with pytest.raises(ConfigurationError, match="no stage of this run has this name; there are"):
        throw(**SIZE, **lab.places, force=["trows"])


def test_a_killed_stage_continues_from_its_last_block(
    lab: Lab, prefect_service: PrefectService, tmp_path: Path
) -> None:
    places = {"store": tmp_path / "store", "results": tmp_path / "results"}
    flags = [f"--{name}={value}" for name, value in {**places, "throws": 60, "workers": 1}.items()]
    command = [sys.executable, "-m", "tests.support.dice.flow", *flags]
    with subprocess.Popen(
        [*command, "--seconds=2"], env=prefect_service.environment, cwd=ROOT
    ) as process:
        blocks = (tmp_path / "store" / "work").glob
        wait_for(lambda: any(blocks("throw_dice/*/resume/block1.json")), "the second block", 120)
        for worker in worker_processes(psutil.Process(process.pid)):
            os.kill(worker, signal.SIGKILL)
        assert process.wait(120) == 2
    kept = len(list(blocks("throw_dice/*/resume/block?.json")))
    assert 2 <= kept < 6
    subprocess.run(command, env=prefect_service.environment, cwd=ROOT, check=True)
    again = Lab(tmp_path, lab.server, "").summary("throw_dice")
    assert (again["throws"], again["thrown"]) == (60, 60 - 10 * kept)
    assert again["mean"] == lab.summary("throw_dice")["mean"]
