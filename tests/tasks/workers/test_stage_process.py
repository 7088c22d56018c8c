"""A stage in a process of its own: the same result, and an end to whatever goes wrong in it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from qsm_core.errors import (
    DataError,
    InterruptedStageError,
    ModelError,
    StageError,
    StoreError,
    TransientError,
)
from qsm_core.stage.making import make_output
from qsm_core.stage.stop import Deadline, StopRequest
from qsm_core.store.spec import StageDefinition, build_spec
from qsm_core.store.store import Store
from tasks.workers.stage_process import StageProcess, child_environment

pytestmark = pytest.mark.slow  # minutes in all: not for `make quick`


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def lines():
    return []


@pytest.fixture
def make(store, toys, lines):
    """Make the stage that misbehaves, in a process of its own."""

    def make_mischief(stop=None, timeout_s=None, **runtime):
        spec = build_spec(StageDefinition("mischief", 1, f"{toys.name}.mischief"), {}, {})
        stop = stop or StopRequest()
        launch = StageProcess(stop, lines.append, timeout_s=timeout_s)
        return make_output(store, spec, {}, runtime, launch=launch, stop=stop)

    return make_mischief


def work_folder(store: Store) -> Path:
    (folder,) = (store.root / "work" / "mischief").iterdir()
    return folder


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pids: list[int]) -> bool:
    """Say whether processes have ended; one that nobody has reaped counts as ended."""
    living = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return all(process.status() == psutil.STATUS_ZOMBIE for process in living)


def test_the_result_is_that_of_the_stage_called_here(store, toys, tmp_path, lines):
    spec = build_spec(toys.count, {"n": 3}, {})
    reports = []
    runtime = {"seconds": 0.15, "threads": 1}
    launch = StageProcess(StopRequest(), lines.append)
    report = lambda *shown: reports.append(shown)  # noqa: E731
    apart = make_output(store, spec, {}, runtime, report, launch=launch)
    here = make_output(Store(tmp_path / "other"), spec, {}, {"threads": 1})
    assert apart.digest == here.digest
    assert apart.summary == {**here.summary, "threads": "1"}
    assert reports[-1] == (3, 3, "counting")
    made, expected = apart.manifest.provenance, here.manifest.provenance
    assert set(made) == set(expected)
    assert made["device"] == expected["device"]
    assert made["peak_memory_mib"] > 1
    assert not (store.root / "work" / "count" / spec.key).exists()


def test_what_it_prints_is_shown_and_kept(make, lines):
    output = make(do="nothing")
    assert sorted(lines) == ["on standard error", "on standard output"]
    assert sorted((output.path / "volatile" / "log.txt").read_text().splitlines()) == sorted(lines)
    assert output.summary["pid"] != os.getpid()
    assert output.summary["number"] == 0.1 + 0.2


def test_too_many_lines_are_shown_in_part_and_kept_whole(make, lines):
    output = make(do="chatter", lines=5000)
    assert 200 < len(lines) < 1000
    assert any("more lines follow; all of them are in" in line for line in lines)
    kept = (output.path / "volatile" / "log.txt").read_text().splitlines()
    assert "line 4999" in kept
    assert not any("bar" in line for line in kept)


@pytest.mark.parametrize(
    ("what", "kind", "text"),
    [
        ("data", DataError, "clip b: is empty"),
        ("model", ModelError, "the model is damaged"),
        ("own", ModelError, "OwnError: number 3"),
        ("foreign", StageError, r"ForeignError: gone away \(mischief.py, line"),
        ("refused", ModelError, "the server refuses the key"),
        ("quits", StageError, r"SystemExit: the library gave up \(mischief.py, line"),
        ("value", StageError, r"ValueError: n is no good \(mischief.py, line"),
        ("connection", TransientError, "the other side went away"),
        ("full", StoreError, "the disk is full: /somewhere could not be written"),
    ],
)
def test_an_error_comes_back_as_what_it_was(make, store, what, kind, text):
    with pytest.raises(kind, match=text) as caught:
        make(do=what)
    assert type(caught.value) is kind
    if kind is DataError:
        assert caught.value.problems == ("clip a: is empty", "clip b: is empty")
    if what == "value":
        message = (work_folder(store) / "error.txt").read_text()
        assert 'mischief.py", line' in message
        assert "raise ERRORS[what]" in message


@pytest.mark.parametrize(
    ("runtime", "text"),
    [
        ({"do": "SIGSEGV"}, "was ended by SIGSEGV .Segmentation fault.*Fatal Python error"),
        (
            {"do": "SIGKILL"},
            "was killed .SIGKILL. from outside: memory had not run out, its peak was [0-9]+ MiB",
        ),
        ({"do": "exit", "code": 137}, "was killed .SIGKILL. from outside: memory had not"),
        ({"do": "exit", "code": 3}, "ended with exit code 3 without reporting an error"),
    ],
)
def test_a_process_that_dies_is_reported_with_the_end_of_its_log(make, runtime, text):
    with pytest.raises(StageError, match=f"(?s)the process of mischief {text}") as caught:
        make(**runtime)
    assert "on standard output" in str(caught.value)
    assert Path(str(caught.value).rpartition("All of it: ")[2]).is_file()


def test_a_stage_that_takes_too_long_is_ended_with_all_that_it_started(make, tmp_path):
    pids = tmp_path / "pids"
    with pytest.raises(StageError, match="mischief took longer than its timeout of 6 s"):
        make(do="hang", pids=str(pids), timeout_s=6.0)
    wait_until(lambda: gone(json.loads(pids.read_text())))


def test_a_stage_that_does_not_stop_in_time_is_ended(make, tmp_path):
    pids = tmp_path / "pids"
    now = time.time()
    stop = StopRequest(Deadline(stop_at=now + 1, end_at=now + 10))
    with pytest.raises(InterruptedStageError, match=r"walltime .* the stage did not stop in time"):
        make(do="hang", pids=str(pids), stop=stop)
    wait_until(lambda: gone(json.loads(pids.read_text())))


def test_a_stage_that_is_asked_to_stop_ends_and_continues_later(store, toys, lines):
    spec = build_spec(toys.count, {"n": 200}, {})
    stop = StopRequest()

    def report(done, total, message):
        if done >= 3:
            stop.set("somebody else needs the node", grace_s=60)

    launch = StageProcess(stop, lines.append)
    slow = {"seconds": 0.02}
    with pytest.raises(InterruptedStageError, match=r"^somebody else needs the node; [0-9]+ of"):
        make_output(store, spec, {}, slow, report, launch=launch, stop=stop)
    output = make_output(store, spec, {}, launch=StageProcess(StopRequest(), lines.append))
    assert output.summary["first_step"] >= 3
    made = output.manifest.provenance
    assert [one["ended"] for one in made["attempts"]] == ["interrupted", "finished"]
    assert made["interruptions"] == 1
    assert made["all_seconds"] > 0.06


def test_secrets_of_prefect_and_dask_are_kept_back(make, monkeypatch):
    monkeypatch.setenv("PREFECT_API_KEY", "marker-of-a-secret")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", "marker-of-a-secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    output = make(do="nothing", threads=3)
    environment = json.loads((output.path / "environment.json").read_text())
    assert "marker-of-a-secret" not in environment.values()
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    files = [path for path in output.path.rglob("*") if path.is_file()]
    assert not any(b"marker-of-a-secret" in path.read_bytes() for path in files)


def test_the_environment_says_where_to_import_from(monkeypatch):
    monkeypatch.setattr(sys, "path", ["", "/somewhere"])
    given = child_environment({"HOME": "/home"}, None)
    assert given["PYTHONPATH"] == f"{Path.cwd()}{os.pathsep}/somewhere"
    assert given["HOME"] == "/home"
    assert "OMP_NUM_THREADS" not in given


WORKER = """
import sys
from pathlib import Path
from qsm_core.stage.making import make_output
from qsm_core.store.spec import StageDefinition, build_spec
from qsm_core.stage.stop import StopRequest
from qsm_core.store.store import Store
from tasks.workers.stage_process import StageProcess
store, package, pids = sys.argv[1:]
spec = build_spec(StageDefinition("mischief", 1, package + ".mischief"), {}, {})
launch = StageProcess(StopRequest(), print)
make_output(Store(Path(store)), spec, {}, {"do": "hang", "pids": pids}, launch=launch)
"""


def test_a_killed_worker_leaves_no_process_behind(toys, tmp_path):
    pids = tmp_path / "pids"
    worker = toys.start(WORKER, str(tmp_path / "store"), toys.name, str(pids))
    wait_until(lambda: pids.exists() and pids.read_text())
    started = json.loads(pids.read_text())
    assert not gone(started)
    # A group of its own: a signal to the worker's group is not meant for the stage.
    assert {os.getpgid(pid) for pid in started} == {started[0]}
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=30)
    wait_until(lambda: gone(started))
