"""Stages through a real Prefect server and real Dask workers: reuse, failure, resume."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from qsm_core.errors import SpecError, StageError
from qsm_core.store.references import read_references
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tasks.workers import progress as progress_module
from tasks.workers.progress import ProgressArtifact
from tests.support.server_records import wait_for
from tests.support.toy_flow import Ran, run_toys, shared_worker
from tests.support.toys import Toys, copy_toys

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.usefixtures("prefect_api")]

ALL_CACHED = dict.fromkeys(("left", "right", "total", "final"), "Cached")
ALL_MADE = dict.fromkeys(ALL_CACHED, "Completed")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, prefect_api) -> tuple[Toys, Path, Ran]:
    """A toy core and a store in which the flow has run once; only to be copied."""
    folder = tmp_path_factory.mktemp("finished")
    toys = copy_toys(folder / "toys")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(toys.parent))
        with shared_worker():
            first = run_toys(folder / "store", toys.name)
            yield toys, folder / "store", first


@pytest.fixture
def ran(finished, tmp_path) -> tuple[Toys, Path]:
    """A store of our own in which the flow has run once, and its toy core, restored at the end."""
    toys, store, _ = finished
    sources = {path: path.read_text() for path in toys.folder.glob("*.py")}
    shutil.copytree(store, tmp_path / "store")
    yield toys, tmp_path / "store"
    toys.write(sources)


def output(store: Path, toys: Toys, n: int) -> Path:
    key = build_spec(toys.count, {"n": n}, {}).key
    return Store(store).layout.output("count", key)


def test_first_run_makes_everything(finished):
    toys, store, first = finished
    assert first.error is None
    assert first.numbers == {"left": 2, "right": 3, "total": 5, "final": 15}
    assert first.states() == ALL_MADE
    assert first.watch.clusters == 1
    assert first.watch.kinds("left")[0] == "queued"
    assert first.watch.kinds("left")[-1] == "finished"
    assert "running" in first.watch.kinds("left")
    assert first.watch.kinds("final")[0] == "waiting"
    assert {run.name.rpartition("-")[2] for run in first.task_runs.values()} >= {
        build_spec(toys.count, {"n": 2}, {}).key8
    }
    noted = read_references(Store(store).layout)["toys"]
    assert {one.name for one in noted} == set(ALL_MADE)


def test_graph_of_the_run_has_its_edges(finished):
    _, _, first = finished
    runs = first.task_runs
    needed = {one.id for one in runs["total"].task_inputs["call"]}
    assert needed == {runs["left"].id, runs["right"].id}


def test_second_run_is_cached_and_makes_no_cluster(ran):
    toys, store = ran
    second = run_toys(store, toys.name)
    assert second.states() == ALL_CACHED
    assert second.watch.clusters == 0
    assert second.numbers["final"] == 15
    assert second.watch.kinds("right") == ["reused"]


def test_a_finished_stage_is_cached_though_prefect_has_no_record_of_it(ran):
    """As a worker leaves it that dies between the end of its work and Prefect's record."""
    toys, store = ran
    records = [path for path in Store(store).layout.results.rglob("*") if path.is_file()]
    assert len(records) == len(ALL_CACHED)
    for path in records:
        path.unlink()
    for _ in range(2):
        again = run_toys(store, toys.name)
        assert again.states() == ALL_CACHED
        assert again.watch.clusters == 0
        assert all(path.is_file() for path in records)


def test_a_config_field_runs_its_stage_and_what_depends_on_it(ran):
    toys, store = ran
    again = run_toys(store, toys.name, config={"left": {"n": 4}})
    assert again.states() == {**ALL_MADE, "right": "Cached"}
    assert again.numbers["final"] == 17
    assert "config n changed from" in again.watch.verdict("left")
    assert "input a has other content" in again.watch.verdict("total")


def test_an_edit_that_is_reached_runs_its_stages_only(ran):
    toys, store = ran
    toys.edit("scaling", "FACTOR = 1", "FACTOR = 2")
    again = run_toys(store, toys.name, own_workers=True)
    assert again.states() == {**ALL_CACHED, "total": "Completed", "final": "Completed"}
    assert again.numbers["final"] == 30
    assert f"code {toys.name}.scaling was edited" in again.watch.verdict("total")


def test_an_edit_that_changes_no_content_stops_there(ran):
    toys, store = ran
    toys.edit("arithmetic", "return a + b", "return b + a")
    again = run_toys(store, toys.name, own_workers=True)
    assert again.states() == {**ALL_CACHED, "left": "Completed", "right": "Completed"}


def test_a_stage_that_reads_one_file_does_not_run_for_the_others(ran):
    toys, store = ran
    again = run_toys(store, toys.name, config={"total": {"note": "another way to the same sum"}})
    assert again.states() == {**ALL_CACHED, "total": "Completed"}


def test_edits_that_mean_nothing_or_are_not_reached_run_nothing(ran):
    toys, store = ran
    toys.edit("unreached", "VALUE = 1", "VALUE = 2")
    toys.edit("arithmetic", "Add two numbers.", "Return the sum.")
    toys.edit("scaling", "FACTOR = 1", "# as it is\nFACTOR = 1")
    again = run_toys(store, toys.name)
    assert again.states() == ALL_CACHED
    assert again.watch.clusters == 0


def test_a_damaged_output_is_made_again_and_the_rest_reused(ran):
    toys, store = ran
    (output(store, toys, 2) / "n.txt").unlink()
    again = run_toys(store, toys.name)
    assert again.states() == {**ALL_CACHED, "left": "Completed"}
    assert "n.txt: is missing" in again.watch.verdict("left")


def test_outputs_without_prefects_records_are_reused(ran):
    toys, store = ran
    shutil.rmtree(store / "results")
    again = run_toys(store, toys.name)
    assert [again.watch.kinds(name) for name in ALL_CACHED].count(["waiting", "reused"]) == 2
    assert again.watch.clusters == 0
    assert run_toys(store, toys.name).states() == ALL_CACHED


def test_force_makes_one_stage_again(ran):
    toys, store = ran
    again = run_toys(store, toys.name, force=["left"])
    assert again.states() == {**ALL_CACHED, "left": "Completed"}
    found = Store(store).find(build_spec(toys.count, {"n": 2}, {}))
    assert found is not None
    assert found.manifest.generation == 2


def test_a_plan_makes_nothing(ran):
    toys, store = ran
    planned = run_toys(store, toys.name, config={"left": {"n": 7}}, plan_only=True).watch
    shown = {one.name: one.sentence for one in planned.plan}
    assert shown["left"].startswith("runs because of config n changed from ")
    assert shown["right"] == "reused"
    assert shown["total"] == "is decided after left"
    assert planned.plan[2].needs == ("left", "right")
    assert planned.clusters == 0
    assert not output(store, toys, 7).exists()
    assert run_toys(store, toys.name).states() == ALL_CACHED


def test_a_key_that_cannot_be_computed_stops_the_run_before_anything_is_queued(ran):
    toys, store = ran
    config = {"left": {"n": 8}, "final": {"plus": {"x": float("nan")}}}
    broken = run_toys(store, toys.name, config=config)
    assert isinstance(broken.error, SpecError)
    assert "config.plus.x = nan" in str(broken.error)
    assert broken.task_runs == {}
    assert broken.watch.clusters == 0


def test_a_transient_error_is_tried_again(ran, tmp_path):
    toys, store = ran
    log = tmp_path / "attempts"
    runtime = {"left": {"fail": "transient", "failures": 2, "log": str(log)}}
    again = run_toys(store, toys.name, config={"left": {"n": 5}}, runtime=runtime)
    assert again.error is None
    assert len(log.read_text().splitlines()) == 3
    assert again.task_runs["left"].run_count == 3
    assert again.states()["left"] == "Completed"


def test_another_error_fails_at_once_and_the_next_run_continues(ran, tmp_path):
    toys, store = ran
    log = tmp_path / "attempts"
    config = {"left": {"n": 5}, "right": {"n": 6}}
    runtime = {"left": {"fail": "value", "log": str(log)}}
    failed = run_toys(store, toys.name, config=config, runtime=runtime)
    assert isinstance(failed.error, StageError)
    text = str(failed.error)
    assert "1 of 4 stages failed, 1 finished, 2 not started (total, final)" in text
    assert "stage left failed: ValueError: n is no good (count.py, line" in text
    assert "error.txt" in text
    assert "what is finished is reused" in text
    assert failed.states() == {"left": "Failed", "right": "Completed"}
    assert len(log.read_text().splitlines()) == 1
    assert failed.watch.kinds("left")[-1] == "failed"
    resumed = run_toys(store, toys.name, config=config)
    assert resumed.states() == {**ALL_MADE, "right": "Cached"}
    assert "continues unfinished work" in resumed.watch.verdict("left")


def test_a_killed_worker_is_reported_and_the_next_run_continues(ran):
    toys, store = ran
    config = {"left": {"n": 9}}
    killed = run_toys(store, toys.name, config=config, runtime={"left": {"die_at": 6}})
    assert isinstance(killed.error, StageError)
    assert "stage left failed: its worker was killed from outside, or crashed" in str(killed.error)
    assert killed.states() == {"left": "Crashed", "right": "Cached"}
    resumed = run_toys(store, toys.name, config=config)
    assert resumed.numbers["left"] == 9
    found = Store(store).find(build_spec(toys.count, {"n": 9}, {}))
    assert found is not None
    assert found.summary["first_step"] == 6
    assert found.manifest.provenance["resumed"] is True


def test_a_stage_in_a_process_of_its_own_dies_alone_and_its_log_is_shown(ran):
    toys, store = ran
    config = {"left": {"n": 12}, "right": {"n": 13}}
    runtime = {
        "left": {"subprocess": True, "die_at": 6, "say": "left is here"},
        "right": {"subprocess": True, "say": "right is here"},
    }
    killed = run_toys(store, toys.name, config=config, runtime=runtime)
    assert isinstance(killed.error, StageError)
    assert "the process of count was killed (SIGKILL) from outside: memory" in str(killed.error)
    assert "left is here" in str(killed.error)
    assert killed.states() == {"left": "Failed", "right": "Completed"}
    # A worker that serves further runs sends its log every few seconds.
    lines = {"left is here", "right is here"}
    wait_for(lambda: lines <= set(killed.log()), "the log of both processes")
    resumed = run_toys(store, toys.name, config=config, runtime={"left": {"subprocess": True}})
    assert resumed.numbers["left"] == 12
    found = Store(store).find(build_spec(toys.count, {"n": 12}, {}))
    assert found is not None
    assert found.summary["first_step"] == 6
    assert [one["ended"] for one in found.manifest.provenance["attempts"]] == ["failed", "finished"]


def test_independent_stages_run_side_by_side(ran):
    toys, store = ran
    config = {"left": {"n": 20}, "right": {"n": 21}}
    slow = {"seconds": 0.2}
    slow_ones = {"left": slow, "right": slow}
    both = run_toys(store, toys.name, config=config, runtime=slow_ones, workers=2)
    assert both.error is None
    order = [(one.name, one.kind) for one in both.watch.events]
    first_end = min(order.index((name, "finished")) for name in ("left", "right"))
    assert all(order.index((name, "running")) < first_end for name in ("left", "right"))
    progress = [one for one in both.watch.events if one.kind == "progress" and one.name == "left"]
    assert len(progress) >= 3
    assert all(one.total == 20 and 1 <= one.done <= 20 for one in progress)


def test_stages_that_can_begin_together_are_queued_in_the_order_of_the_flow(ran, monkeypatch):
    toys, store = ran
    decide = Store.decide

    def slow_for_left(self, spec, **options):
        if spec.config == {"n": 31}:
            time.sleep(1.0)
        return decide(self, spec, **options)

    monkeypatch.setattr(Store, "decide", slow_for_left)
    both = run_toys(store, toys.name, config={"left": {"n": 31}, "right": {"n": 32}})
    assert both.error is None
    queued = [one.name for one in both.watch.events if one.kind == "queued"]
    assert queued == ["left", "right", "total", "final"]


def test_two_stages_with_the_same_work_do_it_once(ran, tmp_path):
    toys, store = ran
    log = tmp_path / "attempts"
    config = {"left": {"n": 30}, "right": {"n": 30}}
    runtime = {name: {"log": str(log)} for name in config}
    twins = run_toys(store, toys.name, config=config, runtime=runtime)
    assert twins.numbers["total"] == 60
    assert sorted((twins.states()["left"], twins.states()["right"])) == ["Cached", "Completed"]
    assert len(log.read_text().splitlines()) == 1


@flow
def show_progress() -> None:
    progress = ProgressArtifact("toys", every_s=0.0)
    for step in range(3):
        progress(step, 4, "playing")
    progress.finish()


def test_progress_is_one_artifact(prefect_api):
    state = show_progress(return_state=True)
    with get_client(sync_client=True) as client:
        only = ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id])
        )
        (artifact,) = client.read_artifacts(artifact_filter=only)
    assert artifact.type == "progress"
    assert artifact.data == 100.0
    assert artifact.key == "progress-of-toys"
    assert artifact.description == "finished"


def test_a_stage_does_not_wait_for_a_server_that_is_away(monkeypatch):
    asked, back = [], threading.Event()

    def create(percent, key, description):
        asked.append(description)
        back.wait(60)
        return uuid4()

    def update(artifact, progress, description):
        asked.append(description)

    monkeypatch.setattr(progress_module, "create_progress_artifact", create)
    monkeypatch.setattr(progress_module, "update_progress_artifact", update)
    progress = ProgressArtifact("toys", every_s=0.0)
    for step in range(3):
        progress(step, 4, "playing")
    assert asked in ([], ["playing (0 of 4)"])
    back.set()
    progress.finish()
    assert asked == ["playing (0 of 4)", "finished"]


def test_an_error_of_the_flow_itself_stops_everything(ran, tmp_path):
    toys, store = ran
    config = {"left": {"n": 1000}, "right": {"n": 1001}}
    here = {"seconds": 1.0, "log": str(tmp_path / "pids")}
    apart = {**here, "subprocess": True}
    runtime = {"left": apart, "right": here}
    stopped = run_toys(store, toys.name, config=config, runtime=runtime, interrupt=True, workers=2)
    pids = [int(line.split()[0]) for line in (tmp_path / "pids").read_text().splitlines()]
    wait_for(lambda: not any(map(psutil.pid_exists, pids)), "the end of both stages")
    assert isinstance(stopped.error, KeyError)
    assert not output(store, toys, 1000).exists()
