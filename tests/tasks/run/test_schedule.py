"""What can begin, begins in the order of the flow, in one thread, and long steps in few."""

import random
import threading
import time
from concurrent.futures import Future

from tasks.run.schedule import Schedule, Threads


def started() -> Schedule:
    schedule = Schedule()
    schedule.start()
    return schedule


def test_steps_that_are_ready_together_run_by_place_whatever_the_order_they_came_in():
    schedule, taken, done = started(), [], threading.Event()
    places = list(range(1000))
    random.Random(7).shuffle(places)
    with schedule.held():
        for place in places:
            schedule.add((place,), lambda place=place: taken.append(place))
        schedule.add((1000,), done.set)
    assert done.wait(10)
    assert taken == list(range(1000))


def test_a_step_comes_up_once_when_the_last_of_its_futures_is_done():
    schedule, taken = started(), []
    futures = [Future() for _ in range(3)]
    reached = threading.Event()
    schedule.after(futures, (0,), lambda: (taken.append("all"), reached.set()))
    futures[0].set_result(1)
    futures[1].set_exception(ValueError("also an end"))
    assert not reached.wait(0.2)
    futures[2].set_result(3)
    assert reached.wait(10)
    schedule.close(10)
    assert taken == ["all"]


def test_what_one_result_makes_ready_is_sorted_too():
    schedule, taken, done = started(), [], threading.Event()
    source = Future()
    for place in (3, 1, 2):
        schedule.after([source], (place,), lambda place=place: taken.append(place))
    with schedule.held():
        source.set_result(None)
        schedule.add((4,), done.set)
    assert done.wait(10)
    assert taken == [1, 2, 3]


def test_steps_run_one_after_another_and_none_after_the_end():
    schedule, taken = started(), []
    begun, go_on = threading.Event(), threading.Event()
    schedule.add((0,), lambda: (begun.set(), go_on.wait(10), taken.append(0)))
    assert begun.wait(10)
    schedule.add((1,), lambda: taken.append(1))
    closing = threading.Thread(target=schedule.close, args=(10,))
    closing.start()
    time.sleep(0.1)  # the end is asked for while the first step runs
    go_on.set()
    closing.join(10)
    assert taken == [0]


def test_no_more_threads_than_allowed_and_no_more_than_steps():
    threads, together, most = Threads(3, "test"), [], []
    lock, go_on = threading.Lock(), threading.Event()

    def step() -> None:
        with lock:
            together.append(threading.current_thread().name)
            most.append(len(set(together)))
        go_on.wait(10)

    threads.run(step)
    time.sleep(0.1)
    assert len(threads._threads) == 1
    for _ in range(9):
        threads.run(step)
    time.sleep(0.2)
    assert len(together) == 3  # the others wait for a thread
    go_on.set()
    deadline = time.monotonic() + 10
    while len(together) < 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(together) == 10
    assert max(most) == 3
    threads.close()
    threads.join(10)
    assert not any(one.is_alive() for one in threads._threads)


def test_what_waits_for_a_thread_is_forgotten_at_the_end():
    threads, taken = Threads(1, "test"), []
    begun, go_on = threading.Event(), threading.Event()
    threads.run(lambda: (begun.set(), go_on.wait(10), taken.append("first")))
    threads.run(lambda: taken.append("second"))
    assert begun.wait(10)
    threads.close()
    go_on.set()
    threads.join(10)
    assert taken == ["first"]
