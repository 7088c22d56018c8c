"""What can begin, begins: in the order of the flow, in one thread, without a thread a stage.

A stage is a few short steps (decide whether it is reused, take over its result) and at most one
long one (follow its task on a worker). The short steps run one after another in one thread, those
of the stage that the flow names first before the others: where workers are few, it has to be
queued first. A step comes up when the last of the futures that it waits for is done, which is a
counter and no waiting thread. The long steps run in a bounded number of threads.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import copy_context
from itertools import count
from typing import Any

Step = Callable[[], None]


class Schedule:
    """Runs short steps in one thread, the first place first."""

    def __init__(self) -> None:
        self._ready: list[tuple[tuple[int, ...], int, Step]] = []
        self._numbers = count()
        self._changed = threading.Condition(threading.RLock())
        self._closed = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to run steps."""
        if self._thread is None:
            # Prefect finds the flow run in context variables, which a thread does not inherit.
            self._thread = threading.Thread(
                target=copy_context().run, args=(self._run,), name="stage schedule", daemon=True
            )
            self._thread.start()

    def add(self, place: tuple[int, ...], step: Step) -> None:
        """Run a step as soon as no step of an earlier place is ready."""
        with self._changed:
            heapq.heappush(self._ready, (place, next(self._numbers), step))
            self._changed.notify()

    def after(self, futures: Iterable[Future[Any]], place: tuple[int, ...], step: Step) -> None:
        """Run a step once all futures are done, however they ended."""
        waiting = [one for one in futures if not one.done()]
        if not waiting:
            self.add(place, step)
            return
        left, lock = len(waiting), threading.Lock()

        def one_less(_: Future[Any]) -> None:
            nonlocal left
            with lock:
                left -= 1
                ready = left == 0
            if ready:
                self.add(place, step)

        for future in waiting:
            future.add_done_callback(one_less)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Begin no step in the block, so that all that it makes ready is sorted by place."""
        with self._changed:
            yield

    def close(self, timeout_s: float) -> None:
        """Begin no further step, and wait a while for the one that runs."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while (step := self._next()) is not None:
            step()

    def _next(self) -> Step | None:
        with self._changed:
            while not self._ready and not self._closed:
                self._changed.wait()
            return None if self._closed else heapq.heappop(self._ready)[2]


class Threads:
    """Runs long steps in at most so many threads; they do not keep the process alive."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._steps: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._busy = 0

    def run(self, step: Step) -> None:
        """Run a step when a thread is free, in the order of these calls."""
        with self._lock:
            self._busy += 1
            if len(self._threads) < min(self._busy, self._most):
                self._start()
        self._steps.put(step)

    def close(self) -> None:
        """End the threads when their steps have ended; steps that wait are forgotten."""
        with self._lock:
            while not self._steps.empty():
                self._steps.get_nowait()
            for _ in self._threads:
                self._steps.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait a while for each thread to end."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _start(self) -> None:
        thread = threading.Thread(
            target=copy_context().run,
            args=(self._work,),
            name=f"{self._name} {len(self._threads) + 1}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (step := self._steps.get()) is not None:
            try:
                step()
            finally:
                with self._lock:
                    self._busy -= 1
