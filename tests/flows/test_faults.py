"""The pipeline under kill -9, a full disk, and a second pipeline on the same store.

A process that dies in the middle must cost no more than what it was doing, and must not change
one bit of the result. What a test disturbs is taken out of a copy of a finished store, in which
each stage has enough work for that: several checkpoints, steps of the search, blocks of clips.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.complete_pipeline import complete_pipeline
from qsm_core.store.manifest import Manifest, read_manifest
from tests.support.finished import FinishedRun
from tests.support.holding import BLOCK, CHECKPOINT, SEARCH_EVENT, SHARD_BLOCK, Hold
from tests.support.pipeline import (
    STAGES,
    PrefectService,
    last_states,
    processes_with,
    run_pipeline,
    start_pipeline,
)
from tests.support.server_records import Server, wait_for
from tests.support.small_disk import fill, small_disk

# Several pipelines stand behind one test: on a busy machine they take their time.
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1500)]

CACHED = dict.fromkeys(STAGES, "Cached")
MARK = "QSM_TEST_RUN"
# Adds a line to a file for each output that is begun, whoever begins it.
COUNT_THE_WORK = """
import os, sys

def note(event, arguments):
    path = str(arguments[1]) if event == "os.rename" else ""
    if path.endswith("/spec.json") and "/store/work/" in path:
        line = os.path.dirname(path.split("/store/work/")[1]) + "\\n"
        descriptor = os.open(os.environ["QSM_TEST_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line.encode())
        os.close(descriptor)

sys.addaudithook(note)
"""


def _manifests(folder: Path) -> dict[tuple[str, str], Manifest]:
    """Return the manifest of every finished output, by stage and key."""
    found = (folder / "store" / "outputs").glob("*/*")
    manifests = [read_manifest(path) for path in found if (path / "manifest.json").exists()]
    return {(one.spec.stage, one.spec.key): one for one in manifests}


def test_two_pipelines_on_one_store_do_each_work_once(
    prefect_service: PrefectService, small_model_folder: Path, tmp_path: Path
) -> None:
    """Two pipelines with the same parameters are started together on an empty store."""
    hook, begun = tmp_path / "hook", tmp_path / "begun.txt"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(COUNT_THE_WORK)
    watched = {"PYTHONPATH": str(hook), "QSM_TEST_LOG": str(begun)}
    processes = [
        start_pipeline(
            prefect_service, tmp_path, environment=watched, model=small_model_folder, name="run"
        )
        for _ in range(2)
    ]
    codes = [process.wait(timeout=500) for process in processes]
    assert codes == [0, 0], (tmp_path / "log.txt").read_text()
    made = _manifests(tmp_path)
    assert sorted(begun.read_text().splitlines()) == sorted(f"{stage}/{key}" for stage, key in made)
    assert len(made) == len(STAGES)
    assert {one.generation for one in made.values()} == {1}
    server = Server(prefect_service.api_url)
    runs = server.flow_runs(tmp_path / "results")
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * 2
    for run in runs:
        states = server.states(run["id"])
        assert set(states) == set(STAGES)
        assert set(states.values()) <= {"Completed", "Cached"}
    assert not (tmp_path / "store" / "aside").exists()
    assert list((tmp_path / "store" / "work").glob("*/*")) == []


def _checkpoints(folder: Path) -> int:
    return len(list(folder.glob("store/work/train_lora/*/resume/checkpoint-*/complete")))


def _scored_candidates(folder: Path) -> int:
    trajectories = folder.glob("store/work/optimize_prompt/*/resume/trajectory.jsonl")
    return sum(path.read_text().count('"event": "scored"') for path in trajectories)


def _blocks(folder: Path) -> int:
    return len(list(folder.glob("store/work/evaluate/*/resume/blocks/*.parquet")))


# Where a worker holds in each of the three kinds of work: at its second checkpoint, in the middle
# of the search's first step, at its second block.
HOLDS = {"lora": (CHECKPOINT, 2), "opro_base": (SEARCH_EVENT, 7), "baseline": (BLOCK, 2)}
KEPT = {"lora": _checkpoints, "opro_base": _scored_candidates, "baseline": _blocks}


def _wait_for_workers_to_end(mark: str) -> None:
    """Wait for the processes of a killed run, which have to end by themselves."""
    wait_for(lambda: not processes_with(MARK, mark), "the end of the killed run's workers")


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(
    finished_run: FinishedRun, prefect_service: PrefectService, tmp_path: Path
) -> None:
    """The flow's own process is killed, and nothing else, while training, search and evaluation
    are all in the middle of their work.
    """
    finished_run.copy_store(tmp_path / "store", without=HOLDS)
    kept = {key: one.finished_at for key, one in _manifests(tmp_path).items()}
    assert len(kept) == len(STAGES) - len(HOLDS)
    hold = Hold.make(tmp_path / "hold", HOLDS)
    environment = {MARK: str(tmp_path), **hold.environment}
    given = {**finished_run.parameters, "workers": len(HOLDS)}
    process = start_pipeline(prefect_service, tmp_path, environment=environment, **given)
    for stage in HOLDS:
        hold.wait(stage)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    _wait_for_workers_to_end(str(tmp_path))
    for stage, count in KEPT.items():
        assert count(tmp_path) > 0, f"nothing was kept of the killed {stage}"
    (trajectory,) = tmp_path.glob("store/work/optimize_prompt/*/resume/trajectory.jsonl")
    begun = trajectory.read_bytes()

    last = run_pipeline(prefect_service, tmp_path, **finished_run.parameters)
    assert last.returncode == 0, last.stderr
    finished = _manifests(tmp_path)
    assert kept.items() <= {key: one.finished_at for key, one in finished.items()}.items()
    # What depends on the three is reused, as they are what they were.
    states = last_states(prefect_service, tmp_path)
    assert states == {**CACHED, **dict.fromkeys(HOLDS, "Completed")}
    resumed = {stage for (stage, _), one in finished.items() if one.provenance["resumed"]}
    assert resumed == {"train_lora", "optimize_prompt", "evaluate"}
    _check_search(begun, tmp_path / "store/outputs/optimize_prompt" / trajectory.parents[1].name)
    _check_same(tmp_path, finished_run)


def _check_search(begun: bytes, output: Path) -> None:
    """What was scored before the kill was not scored again."""
    trajectory = (output / "trajectory.jsonl").read_bytes()
    whole = begun[: begun.rfind(b"\n") + 1]
    assert whole.count(b'"event": "scored"') > 0
    assert trajectory.startswith(whole)
    events = [json.loads(line) for line in trajectory.splitlines()]
    texts = [event["text"] for event in events if event["event"] == "scored"]
    assert len(texts) == len(set(texts))


def _check_same(folder: Path, finished: FinishedRun) -> None:
    """The outputs are those of the finished run, bit for bit."""
    digests = [
        {key: one.digest for key, one in _manifests(where).items()}
        for where in (folder, finished.folder)
    ]
    assert len(digests[0]) == len(STAGES)
    assert digests[0] == digests[1]
    for name in ("eval_base", "eval_lora", "eval_base_opro", "eval_lora_opro"):
        for file in ("metrics.json", "predictions.parquet"):
            path = folder / "results" / finished.results.name / name / file
            assert path.read_bytes() == finished.content(f"{name}/{file}"), path


def _shards(folder: Path) -> dict[str, Manifest]:
    return {
        str(one.spec.config["shard"]): one
        for (stage, _), one in _manifests(folder).items()
        if stage == "score_shard" and one.spec.config["system"] == "base"
    }


def test_an_evaluation_in_shards_outlives_a_worker_and_has_the_same_bits(
    finished_run: FinishedRun, prefect_service: PrefectService, prefect_api: str, tmp_path: Path
) -> None:
    finished_run.copy_store(tmp_path / "store", without=["baseline"])
    key = (finished_run.results / "eval_base").resolve().name
    sharded = {**finished_run.parameters, "workers": 2, "eval_shards": 2}
    hold = Hold.make(tmp_path / "hold", {"shard": (SHARD_BLOCK, 1)})
    process = start_pipeline(prefect_service, tmp_path, environment=hold.environment, **sharded)
    os.kill(hold.wait("shard").pid, signal.SIGKILL)
    assert process.wait(timeout=300) == 2
    assert "was killed" in (tmp_path / "log.txt").read_text()
    before = _shards(tmp_path)

    # The evaluation is the same whatever the number of shards, and takes what they have scored.
    again = run_pipeline(prefect_service, tmp_path, **sharded)
    assert again.returncode == 0, again.stderr
    after = _shards(tmp_path)
    assert set(after) == {"0", "1"}
    assert all(after[number].finished_at == one.finished_at for number, one in before.items())
    states = last_states(prefect_service, tmp_path)
    assert states["baseline"] == "Completed"
    shards = {states["baseline_shard1of2"], states["baseline_shard2of2"]}
    assert shards <= {"Cached", "Completed"}
    made, whole = (_manifests(at)["evaluate", key] for at in (tmp_path, finished_run.folder))
    assert made.digest == whole.digest

    places = {name: str(tmp_path / name) for name in ("store", "results")}
    plain: Any = complete_pipeline(**{**sharded, **places, "eval_shards": 5}, return_state=True)
    plain.result()
    assert Server(prefect_api).states(str(plain.state_details.flow_run_id)) == CACHED


@pytest.fixture
def small_store(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    with small_disk(tmp_path / "disk", 24 * 1024) as folder:
        yield folder


def test_a_full_disk_is_reported_and_the_next_run_continues(
    finished_run: FinishedRun, small_store: Path, prefect_service: PrefectService, tmp_path: Path
) -> None:
    store = small_store / "store"
    finished_run.copy_store(store, without=["corpus"])
    parameters = {**finished_run.parameters, "store": store}
    for leave in (0, 1_000_000):  # before anything is queued, and while the corpus is written
        ballast = fill(small_store, leave=leave)
        failed = run_pipeline(prefect_service, tmp_path, **parameters)
        ballast.unlink()
        assert failed.returncode == 2, failed.stderr
        assert "the disk is full" in failed.stderr
        assert f"free at {store}" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert list(store.glob("outputs/make_corpus/*")) == []

    again = run_pipeline(prefect_service, tmp_path, **parameters)
    assert again.returncode == 0, again.stderr
    # All that was made of the corpus is reused, as it is what it was.
    assert last_states(prefect_service, tmp_path) == {**CACHED, "corpus": "Completed"}
