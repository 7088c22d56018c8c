"""Two processes with one key: the work is done once."""

from __future__ import annotations

import errno
import json
import threading
import time

import pytest

from qsm_core.stage.launch import Launched
from qsm_core.stage.making import make_output
from qsm_core.store.claim import claim, discard, is_claimed
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tests.support.toys import MAKE_COUNT, count_arguments


def wait_until(condition, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def test_two_processes_converge_and_the_work_is_done_once(tmp_path, toys):
    log = tmp_path / "attempts"
    runtime = {"log": str(log), "seconds": 0.05}
    arguments = count_arguments(tmp_path / "store", toys, {"n": 20}, runtime)
    both = [toys.start(MAKE_COUNT, *arguments) for _ in range(2)]
    results = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], results
    one, two = (json.loads(out) for out, _ in results)
    assert one == two
    assert len(log.read_text().splitlines()) == 1


def test_who_waits_says_so_and_then_reuses(tmp_path, toys):
    log = tmp_path / "attempts"
    store = Store(tmp_path / "store")
    spec = build_spec(toys.count, {"n": 30}, {})
    runtime = {"log": str(log), "seconds": 0.1}
    maker = toys.start(MAKE_COUNT, *count_arguments(store.root, toys, {"n": 30}, runtime))
    wait_until(log.exists)
    said: list[str] = []
    output = make_output(
        store, spec, {}, runtime, lambda done, total, message: said.append(message)
    )
    maker.communicate(timeout=60)
    assert said == [
        f"waiting for process {maker.pid} on {output.manifest.provenance['host']}, "
        "who is making the same output"
    ]
    assert len(log.read_text().splitlines()) == 1


def test_the_claim_of_a_killed_process_is_free(tmp_path, toys):
    store = Store(tmp_path / "store")
    runtime = {"log": str(tmp_path / "attempts"), "seconds": 5}
    maker = toys.start(MAKE_COUNT, *count_arguments(store.root, toys, {"n": 30}, runtime))
    wait_until((tmp_path / "attempts").exists)
    folder = store.layout.work("count", build_spec(toys.count, {"n": 30}, {}).key)
    assert is_claimed(folder)
    maker.kill()
    maker.communicate(timeout=60)
    assert not is_claimed(folder)


def test_claims_of_threads_exclude_each_other(tmp_path):
    inside: list[int] = []
    most: list[int] = []

    def hold(number: int) -> None:
        with claim(tmp_path / "key", on_wait=lambda _: None) as work:
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)
            if number % 2:
                discard(work)

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 6


def no_locks(_descriptor: int, _operation: int) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_without_locks_the_rename_decides(tmp_path, toys):
    store = Store(tmp_path / "store", lock=no_locks)
    spec = build_spec(toys.count, {"n": 20}, {})
    together = threading.Barrier(3)
    outputs = []

    def launch(_, context, folder) -> Launched:
        together.wait(60)  # nobody has looked for the output after another has made it
        (context.out / "n.txt").write_text("20")
        return Launched({}, {})

    def make(delay_s: float) -> None:
        def late(one, context, folder):
            made = launch(one, context, folder)
            time.sleep(delay_s)
            return made

        outputs.append(make_output(store, spec, {}, launch=late))

    threads = [threading.Thread(target=make, args=(0.3 * number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outputs) == 3
    assert len({one.manifest.finished_at for one in outputs}) == 1
    assert store.find(spec) is not None
    assert list((store.root / "work" / "count").iterdir()) == []
    assert not (store.root / "aside").exists()


def test_other_errors_of_the_lock_are_not_hidden(tmp_path, toys):
    def broken(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    store = Store(tmp_path / "store", lock=broken)
    with pytest.raises(OSError, match="Input/output"):
        make_output(store, build_spec(toys.count, {"n": 1}, {}), {})
