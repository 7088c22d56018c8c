"""Stages that can begin together go in order, with one wait each, and nobody waits for ever."""

import threading
from concurrent.futures import Future
from types import SimpleNamespace

from tasks.run import order
from tasks.run.order import give_way


def stage(*needs):
    return SimpleNamespace(decided=threading.Event(), future=Future(), needs=needs)


def test_a_thousand_stages_are_decided_in_order(monkeypatch):
    stages = [stage() for _ in range(1000)]
    decided = []

    def decide(number):
        give_way(stages[:number])
        decided.append(number)
        stages[number].decided.set()

    monkeypatch.setattr(order, "_PATIENCE_S", 600.0)
    threads = [threading.Thread(target=decide, args=(n,)) for n in reversed(range(1000))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert decided == sorted(decided)


def test_what_still_waits_for_an_input_is_not_waited_for():
    source = stage()
    give_way([stage(source)])  # returns


def test_one_that_is_never_decided_is_passed(monkeypatch):
    monkeypatch.setattr(order, "_PATIENCE_S", 0.01)
    give_way([stage(), stage()])  # returns


def test_the_wait_goes_on_while_others_are_decided():
    first, last = stage(), stage()
    waits = []

    def wait(patience_s):
        """Time out once, while the first stage is decided; then be decided."""
        waits.append(patience_s)
        (first if len(waits) == 1 else last).decided.set()
        return len(waits) > 1

    last.decided.wait = wait
    give_way([first, last])
    assert len(waits) == 2
