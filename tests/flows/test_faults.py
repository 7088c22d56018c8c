"""The pipeline under kill -9, a full disk, and a second pipeline on the same store.

A process that dies in the middle must cost no more than what it was doing, and must not change
one bit of the result. The runs of this module have enough work in each stage for that: several
checkpoints, several steps of the search, several blocks.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qsm_core.store.manifest import Manifest, read_manifest
from tests.support.holding import BLOCK, CHECKPOINT, SEARCH_EVENT, SHARD_BLOCK, Hold
from tests.support.pipeline import (
    STAGES,
    PrefectService,
    processes_with,
    run_pipeline,
    start_pipeline,
)
from tests.support.server_records import Server, wait_for

# Several pipelines stand behind one test: on a busy machine they take their time.
pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(1500)]

SIZES = {
    "workers": 2,
    "train_clips": 24,
    "test_clips": 36,
    "epochs": 3,
    "opro_iterations": 2,
    "opro_candidates": 2,
    "name": "run",
}
MARK = "QSM_TEST_RUN"
Start = Callable[[dict[str, str]], subprocess.Popen[bytes]]
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


def _states(service: PrefectService, folder: Path) -> dict[str, str]:
    server = Server(service.api_url)
    return server.states(server.flow_runs(folder / "results")[-1]["id"])


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
    prefect_service: PrefectService,
    small_model_folder: Path,
) -> Path:
    """Two pipelines with the same parameters, started together on one store."""
    folder = tmp_path_factory.mktemp("undisturbed")
    hook = folder / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(COUNT_THE_WORK)
    watched = {"PYTHONPATH": str(hook), "QSM_TEST_LOG": str(folder / "begun.txt")}
    processes = [
        start_pipeline(
            prefect_service, folder, environment=watched, model=small_model_folder, **SIZES
        )
        for _ in range(2)
    ]
    codes = [process.wait(timeout=500) for process in processes]
    assert codes == [0, 0], (folder / "log.txt").read_text()
    return folder


def test_two_pipelines_on_one_store_do_each_work_once(
    undisturbed: Path, prefect_service: PrefectService
) -> None:
    begun = (undisturbed / "begun.txt").read_text().splitlines()
    made = _manifests(undisturbed)
    assert sorted(begun) == sorted(f"{stage}/{key}" for stage, key in made)
    assert len(made) == len(STAGES)
    assert {one.generation for one in made.values()} == {1}
    server = Server(prefect_service.api_url)
    runs = server.flow_runs(undisturbed / "results")
    assert [run["state_type"] for run in runs] == ["COMPLETED"] * 2
    for run in runs:
        states = server.states(run["id"])
        assert set(states) == set(STAGES)
        assert set(states.values()) <= {"Completed", "Cached"}
    assert not (undisturbed / "store" / "aside").exists()
    assert list((undisturbed / "store" / "work").glob("*/*")) == []


def _checkpoints(folder: Path) -> int:
    return len(list(folder.glob("store/work/train_lora/*/resume/checkpoint-*/complete")))


def _scored_candidates(folder: Path) -> int:
    trajectories = folder.glob("store/work/optimize_prompt/*/resume/trajectory.jsonl")
    return sum(path.read_text().count('"event": "scored"') for path in trajectories)


def _blocks(folder: Path) -> int:
    return len(list(folder.glob("store/work/evaluate/*/resume/blocks/*.parquet")))


# Where a worker holds in each of the three kinds of work: at its second checkpoint, in the middle
# of the search's first step, at its second block.
HOLDS = {
    "training": (CHECKPOINT, 2, _checkpoints),
    "search": (SEARCH_EVENT, 7, _scored_candidates),
    "evaluation": (BLOCK, 2, _blocks),
}


def _kill_flow_while_held(folder: Path, waiting: set[str], start: Start) -> set[str]:
    """Start a run, and kill the flow's own process, and nothing else, while its workers hold.

    Args:
        folder: A new one, for the hold.
        waiting: The kinds of work that may hold.
        start: Starts the run in an environment.

    Returns:
        What held: as many kinds of work as there are workers, if that many were waiting.
    """
    places = {kind: HOLDS[kind][:2] for kind in waiting}
    hold = Hold.make(folder, places)
    process = start({MARK: str(folder), **hold.environment})

    def held() -> set[str]:
        return {kind for kind in waiting if hold.held(kind)}

    enough = min(len(waiting), int(SIZES["workers"]))
    wait_for(lambda: len(held()) >= enough, "workers that hold", timeout_s=500)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    _wait_for_workers_to_end(str(folder))
    return held()


def _wait_for_workers_to_end(mark: str) -> None:
    """Wait for the processes of a killed run, which have to end by themselves."""
    wait_for(lambda: not processes_with(MARK, mark), "the end of the killed run's workers")


def test_killed_runs_go_on_and_end_with_the_same_bits(
    undisturbed: Path,
    prefect_service: PrefectService,
    small_model_folder: Path,
    tmp_path: Path,
) -> None:
    def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
        return start_pipeline(
            prefect_service, tmp_path, environment=environment, model=small_model_folder, **SIZES
        )

    kept: dict[tuple[str, str], str] = {}
    resumable: dict[Path, bytes] = {}
    waiting = set(HOLDS)
    while waiting:
        killed = _kill_flow_while_held(tmp_path / f"hold{len(waiting)}", waiting, start)
        for kind in killed:
            assert HOLDS[kind][2](tmp_path) > 0, f"nothing was kept of the killed {kind}"
        waiting -= killed
        resumable |= {
            path: path.read_bytes()
            for path in tmp_path.glob("store/work/optimize_prompt/*/resume/trajectory.jsonl")
        }
        finished = _manifests(tmp_path)
        assert kept.items() <= {key: one.finished_at for key, one in finished.items()}.items()
        kept = {key: one.finished_at for key, one in finished.items()}

    last = run_pipeline(prefect_service, tmp_path, model=small_model_folder, **SIZES)
    assert last.returncode == 0, last.stderr
    finished = _manifests(tmp_path)
    assert kept.items() <= {key: one.finished_at for key, one in finished.items()}.items()
    states = _states(prefect_service, tmp_path)
    assert list(states.values()).count("Cached") == len(kept)
    assert set(states.values()) == {"Cached", "Completed"}
    _check_resumed(finished, resumable, tmp_path)
    _check_same(tmp_path, undisturbed)


def _check_resumed(
    finished: dict[tuple[str, str], Manifest], resumable: dict[Path, bytes], folder: Path
) -> None:
    resumed = {stage for (stage, _), one in finished.items() if one.provenance["resumed"]}
    assert resumed >= {"train_lora", "optimize_prompt", "evaluate"}
    assert resumable
    for path, content in resumable.items():
        key = path.parent.parent.name
        trajectory = (
            folder / "store/outputs/optimize_prompt" / key / "trajectory.jsonl"
        ).read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        assert whole.count(b'"event": "scored"') > 0
        assert trajectory.startswith(whole), "what was scored before the kill was scored again"
        events = [json.loads(line) for line in trajectory.splitlines()]
        texts = [event["text"] for event in events if event["event"] == "scored"]
        assert len(texts) == len(set(texts))


def _check_same(folder: Path, reference: Path) -> None:
    """The outputs are those of the other run, bit for bit.

    The report is left out: it tells when and how fast the others were made.
    """
    for name in ("eval_base", "eval_lora", "eval_base_opro", "eval_lora_opro"):
        for file in ("metrics.json", "predictions.parquet"):
            path = Path("results", "run", name, file)
            assert (folder / path).read_bytes() == (reference / path).read_bytes(), path
    digests = [
        {key: one.digest for key, one in _manifests(where).items() if key[0] != "make_report"}
        for where in (folder, reference)
    ]
    assert len(digests[0]) == len(STAGES) - 1
    assert digests[0] == digests[1]


def _shards(folder: Path) -> dict[str, Manifest]:
    return {
        str(one.spec.config["shard"]): one
        for (stage, _), one in _manifests(folder).items()
        if stage == "score_shard" and one.spec.config["system"] == "base"
    }


def test_an_evaluation_in_shards_outlives_a_worker_and_has_the_same_bits(
    undisturbed: Path,
    prefect_service: PrefectService,
    small_model_folder: Path,
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    shutil.copytree(undisturbed / "store", store)
    evaluated = (undisturbed / "results" / "run" / "eval_base").resolve()
    shutil.rmtree(store / "outputs" / "evaluate" / evaluated.name)
    sharded = {**SIZES, "model": small_model_folder, "eval_shards": 2}
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
    states = _states(prefect_service, tmp_path)
    assert states["baseline"] == "Completed"
    shards = {states["baseline_shard1of2"], states["baseline_shard2of2"]}
    assert shards <= {"Cached", "Completed"}
    made, whole = (
        _manifests(folder)["evaluate", evaluated.name] for folder in (tmp_path, undisturbed)
    )
    assert made.digest == whole.digest
    plain = run_pipeline(prefect_service, tmp_path, **{**sharded, "eval_shards": 5})
    assert plain.returncode == 0, plain.stderr
    assert set(_states(prefect_service, tmp_path).values()) == {"Cached"}
    assert set(_states(prefect_service, tmp_path)) == set(STAGES)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small file system is not allowed here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(folder: Path, *, leave: int) -> Path:
    """Write a file that leaves `leave` bytes of a file system."""
    ballast = folder / "ballast"
    with ballast.open("wb") as stream:
        stream.truncate(0)
        os.posix_fallocate(stream.fileno(), 0, shutil.disk_usage(folder).free - leave)
    return ballast


def test_a_full_disk_is_reported_and_the_next_run_continues(
    undisturbed: Path,
    small_disk: Path,
    prefect_service: PrefectService,
    small_model_folder: Path,
    tmp_path: Path,
) -> None:
    parameters = {"store": small_disk / "store", "model": small_model_folder, **SIZES}
    for leave in (0, 1_000_000):  # before anything is queued, and while the corpus is written
        ballast = _fill(small_disk, leave=leave)
        failed = run_pipeline(prefect_service, tmp_path, **parameters)
        ballast.unlink()
        assert failed.returncode == 2, failed.stderr
        assert "the disk is full" in failed.stderr
        assert f"free at {small_disk / 'store'}" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert list(small_disk.glob("store/outputs/make_corpus/*")) == []

    # Given what a run without faults found, corpus and evaluations are all that is made here.
    found = undisturbed / "results" / "run"
    given = {
        "adapter": found / "checkpoints" / "lora" / "final",
        "instruction_base": found / "opro_base" / "best_prompt.txt",
        "instruction_lora": found / "opro_lora" / "best_prompt.txt",
    }
    again = run_pipeline(prefect_service, tmp_path, **parameters, **given)
    assert again.returncode == 0, again.stderr
    for name in ("eval_base", "eval_lora_opro"):
        path = Path("results", "run", name, "predictions.parquet")
        assert (tmp_path / path).read_bytes() == (undisturbed / path).read_bytes()
