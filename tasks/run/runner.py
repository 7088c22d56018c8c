"""Run the stages of a flow: reuse what is there, queue what is not, in the order of their inputs.

    with StageRunner(store, profile) as runner:
        corpus = runner.submit(make_corpus, SyntheticConfig(seed=7), name="corpus")
        rirs = runner.submit(make_rirs, RirConfig(t60s_s=(0.3,)), name="rirs")
        print(corpus.result().summary)

A stage whose output is in the store is not queued: its Prefect task is called in the flow
process and ends as `Cached`. The others go to the workers of the profile, independent ones side
by side. When one fails, those that need it are not started, the others finish, and the block
ends with one StageError that says what to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from prefect.runtime import flow_run

from qsm_core.errors import SpecError, StageError
from qsm_core.store.canonical import to_json
from qsm_core.store.spec import StageInput, StageSpec, build_spec
from qsm_core.store.store import StageOutput, Store
from tasks.run.config_values import config_values
from tasks.run.events import EventKind, OnEvent, StageEvent, ignore_event
from tasks.run.failures import STOPPED, in_words, raise_failures
from tasks.run.handle import NotMadeError, OutputPart, StageHandle, input_of
from tasks.run.references import RunReferences
from tasks.run.schedule import Schedule, Threads
from tasks.run.server import PrefectServer
from tasks.run.sharding import KnownParts, known_parts, shard_configs
from tasks.run.submission import Submission
from tasks.stage_task import PARTS, Sharding, Stage
from tasks.workers.clusters import Clusters
from tasks.workers.errors import StoppedError
from tasks.workers.job import Job
from tasks.workers.resources import ResourceProfile

_STOP_TIMEOUT_S = 20.0

Input = StageInput | StageHandle | OutputPart


class StageRunner:
    """Runs stages inside a Prefect flow; see the module."""

    def __init__(
        self,
        store: Store,
        profile: ResourceProfile,
        *,
        on_event: OnEvent = ignore_event,
        run_name: str | None = None,
        plan_only: bool = False,
        server: PrefectServer | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            store: Where outputs are.
            profile: Where stages run.
            on_event: Is called with what happens, one call at a time, from several threads.
            run_name: The outputs that a run refers to are noted under its name, so that they
                are not pruned. Default: the name of the flow run.
            plan_only: Decide what would be reused and what would run, and make nothing.
            server: Says whether Prefect's server answers. Default: one that logs its warning.
        """
        self._store = store
        self._profile = profile
        self._on_event = on_event
        self._run_name = run_name
        self._plan_only = plan_only
        self._server = server or PrefectServer()
        self._began_ns = time.time_ns()
        self._clusters = Clusters()
        self._handles: dict[str, StageHandle] = {}
        self._by_key: dict[str, StageHandle] = {}
        self._schedule = Schedule()
        self._threads: dict[str, Threads] = {}
        self._started = False
        self._noted: RunReferences | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for every stage, then fail with one error if any failed.

        An error that is not a stage's, such as Ctrl-C, stops everything at once.
        """
        stopped = error is not None and not self._is_ours(error)
        try:
            if not stopped:
                self.wait()
        finally:
            self._clusters.close()
            self._end_threads()
            self._server.close()
        if not stopped:
            raise_failures(self.handles, self._store.layout)
        if not stopped and not self._plan_only:
            self._references().complete()

    def submit(
        self,
        stage: Stage,
        config: object,
        *,
        name: str,
        inputs: Mapping[str, Input] | None = None,
        runtime: Mapping[str, Any] | None = None,
        force: bool = False,
        num_shards: int = 1,
    ) -> StageHandle:
        """Declare a stage. Work begins with the first `result`, `wait` or the end of the block.

        Everything that can make a key impossible is checked here, before anything is queued.

        Args:
            stage: What kind of stage it is.
            config: Its configuration: what changes the output.
            name: What this run calls it; shown everywhere.
            inputs: By name, contents that exist, or the handles of stages that make them, or one
                part of what such a stage makes.
            runtime: What changes no result, by the names that the stage declares.
            force: Make it again although it is there.
            num_shards: Over how many stages its work is spread, where it can be.

        Raises:
            SpecError: The configuration is of another stage, or the key cannot be computed.
            ConfigurationError: A value of the configuration is not allowed.
            StageError: The name is taken, or an input belongs to another runner.
        """
        with self._lock:
            place = (len(self._handles), 1, 0)
        handle = self._declare(
            stage,
            config,
            name=name,
            place=place,
            inputs=dict(inputs or {}),
            runtime=runtime or {},
            force=force,
            num_shards=num_shards,
        )
        if self._started:
            self._begin(handle)
        return handle

    def start(self) -> None:
        """Let everything that was submitted begin."""
        with self._lock:
            waiting = () if self._started else self.handles
            self._started = True
        self._schedule.start()
        with self._schedule.held():
            for handle in waiting:
                self._begin(handle)

    def wait(self) -> None:
        """Wait until every submitted stage has finished, failed or turned out impossible."""
        self.start()
        while open_ones := [one for one in self.handles if not one.future.done()]:
            futures.wait([one.future for one in open_ones])

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every job that was submitted to a cluster for this run; empty on one machine."""
        return self._clusters.jobs

    @property
    def handles(self) -> tuple[StageHandle, ...]:
        """Every stage that was submitted, in the order of the flow."""
        with self._lock:
            return tuple(sorted(self._handles.values(), key=lambda one: one.place))

    def _declare(
        self,
        stage: Stage,
        config: object,
        *,
        name: str,
        place: tuple[int, int, int],
        inputs: Mapping[str, Input],
        runtime: Mapping[str, Any],
        force: bool,
        num_shards: int,
    ) -> StageHandle:
        handle = StageHandle(
            name=name,
            place=place,
            stage=stage,
            config=config,
            values=config_values(stage, config, name),
            inputs=inputs,
            runtime={**self._profile.pool(stage.definition).runtime, **runtime},
            force=force,
            start=self.start,
            num_shards=num_shards,
            definition=replace(stage.definition, output=name),
        )
        with self._lock:
            self._check(handle)
            self._handles[name] = handle
        self._clusters.want(self._profile.pool(handle.definition))
        return handle

    def _check(self, handle: StageHandle) -> None:
        """Refuse what cannot work, before anything is queued."""
        if handle.name in self._handles:
            raise StageError(f"two stages are called {handle.name!r}; names are unique in a run")
        strangers = [one.name for one in handle.needs if self._handles.get(one.name) is not one]
        if strangers:
            raise StageError(f"{handle.name} needs {strangers}, which another runner has")
        to_json(handle.runtime, f"{handle.name}: runtime")
        allowed = handle.stage.traits.runtime_names
        unknown = [name for name in handle.runtime if name not in allowed]
        if unknown:
            raise SpecError(
                f"{handle.name}: stage {handle.stage.name} reads no runtime value "
                f"{', '.join(unknown)}; it reads {', '.join(sorted(allowed))}"
            )
        ready = {
            name: value for name, value in handle.inputs.items() if isinstance(value, StageInput)
        }
        build_spec(handle.definition, handle.values, ready)

    def _begin(self, handle: StageHandle) -> None:
        """Have a stage decided once its inputs are there."""
        needs = handle.needs
        if any(not one.future.done() for one in needs):
            self._tell(handle, "waiting", message=", ".join(one.name for one in needs))
        self._when_made(handle, needs, self._decide)

    def _when_made(
        self,
        handle: StageHandle,
        needs: Iterable[StageHandle],
        step: Callable[[StageHandle], None],
    ) -> None:
        """Take a step of a stage once others have their outputs; end it where one has none."""
        waited_for = tuple(needs)

        def go_on() -> None:
            missing = [one.name for one in waited_for if one.future.exception()]
            if missing:
                handle.waits_for = tuple(missing)
                text = f"stage {handle.name} was not started: {', '.join(missing)} failed"
                self._end(handle, NotMadeError(text))
            else:
                self._guarded(handle, step)

        self._schedule.after([one.future for one in waited_for], handle.place, go_on)

    def _guarded(self, handle: StageHandle, step: Callable[[StageHandle], None]) -> None:
        """Take a step; whatever it raises ends the stage, so that its future is resolved."""
        try:
            step(handle)
        except BaseException as error:  # noqa: BLE001  (passed to whoever waits for the stage)
            self._end(handle, error)

    def _decide(self, handle: StageHandle) -> None:
        """Reuse the output of a stage, or have it made."""
        inputs = {name: input_of(value) for name, value in handle.inputs.items()}
        spec = build_spec(handle.definition, handle.values, inputs)
        with self._lock:
            twin = self._by_key.setdefault(spec.key, handle)
        if twin is not handle and not twin.future.done():
            self._tell(handle, "waiting", message=f"{twin.name}, which is the same work")
            self._schedule.after(
                [twin.future], handle.place, partial(self._guarded, handle, self._decide)
            )
            return
        verdict, output = self._store.decide(
            spec, force=handle.force and twin is handle, before_ns=self._began_ns
        )
        handle.spec, handle.verdict = spec, verdict
        if output is not None:
            self._reuse(handle, inputs, output)
            return
        sharding = handle.stage.traits.sharding
        if sharding is None:
            self._make(handle, inputs)
        else:
            self._spread(handle, sharding, spec, inputs)

    def _reuse(
        self, handle: StageHandle, inputs: dict[str, StageInput], output: StageOutput
    ) -> None:
        if not self._plan_only:
            self._references().note()
            self._submission(handle, inputs).show_reused()
            self._tell(handle, "reused", message=handle.verdict.sentence if handle.verdict else "")
        self._end(handle, output)

    def _make(self, handle: StageHandle, inputs: dict[str, StageInput]) -> None:
        """Have the output made by a worker, or in a plan say that it would be."""
        if self._plan_only:
            if handle.spec is not None:
                self._store.announce(handle.spec)
            self._end(handle, NotMadeError(f"stage {handle.name} was only planned"))
            return
        self._references().note()
        pool = self._profile.pool(handle.definition)
        submission = self._submission(handle, inputs)

        def run(handle: StageHandle) -> None:
            made = submission.run(self._clusters, pool)
            self._tell(handle, "finished", message=str(made.path))
            self._end(handle, made)

        with self._lock:
            threads = self._threads.setdefault(pool.name, Threads(pool.most_stages, pool.name))
        threads.run(partial(self._guarded, handle, run))

    def _spread(
        self,
        handle: StageHandle,
        sharding: Sharding,
        spec: StageSpec,
        inputs: dict[str, StageInput],
    ) -> None:
        """Have the work of a stage done by shards, as far as it is not done."""
        known = (
            KnownParts()
            if handle.force
            else known_parts(self._store, handle, sharding, spec, inputs)
        )
        if not known.complete:
            configs = shard_configs(handle, sharding, inputs, known)
            handle.shards = tuple(
                self._submit_shard(handle, sharding, config, known, number, len(configs))
                for number, config in enumerate(configs, start=1)
            )
        if known.complete or handle.shards:  # what is left needs no GPU
            self._move(handle, "cpu")

        def gather(handle: StageHandle) -> None:
            folders = [*known.folders, *(one.result().path for one in handle.shards)]
            handle.runtime = {**handle.runtime, PARTS: [str(folder) for folder in folders]}
            self._make(handle, inputs)

        if self._plan_only:
            self._make(handle, inputs)
        else:
            self._when_made(handle, handle.shards, gather)

    def _submit_shard(
        self,
        handle: StageHandle,
        sharding: Sharding,
        config: object,
        known: KnownParts,
        number: int,
        of: int,
    ) -> StageHandle:
        """Submit a shard of a stage; it stands before the stage wherever stages are listed."""
        shard = self._declare(
            sharding.by,
            config,
            name=f"{handle.name}_shard{number}of{of}",
            place=(handle.place[0], 0, number),
            inputs=handle.inputs,
            runtime={**handle.runtime, PARTS: [str(folder) for folder in known.folders]},
            force=handle.force,
            num_shards=1,
        )
        self._begin(shard)
        return shard

    def _move(self, handle: StageHandle, resource: str) -> None:
        """Let a stage run on the pool of another resource class."""
        before = handle.definition
        handle.definition = replace(before, resource=resource)  # type: ignore[arg-type]
        self._clusters.want(self._profile.pool(handle.definition))
        self._clusters.release(self._profile.pool(before))

    def _submission(self, handle: StageHandle, inputs: dict[str, StageInput]) -> Submission:
        if handle.spec is None or handle.verdict is None:
            raise StageError(f"stage {handle.name} is not decided yet")
        return Submission(
            self._store, handle, handle.spec, handle.verdict, inputs, self._tell, self._server
        )

    def _end(self, handle: StageHandle, outcome: StageOutput | BaseException) -> None:
        """Resolve the future of a stage; what waits for it comes up in the order of the flow."""
        if handle.future.done():
            return
        with self._schedule.held():
            if isinstance(outcome, StageOutput):
                handle.future.set_result(outcome)
            elif isinstance(outcome, NotMadeError):
                handle.future.set_exception(outcome)
            else:
                text = in_words(outcome, self._store.layout)
                failure = StageError(f"stage {handle.name} failed: {text}")
                failure.__cause__ = outcome
                handle.future.set_exception(failure)
                kind: EventKind = "stopped" if isinstance(outcome, STOPPED) else "failed"
                self._tell(handle, kind, message=text)
        # Afterwards, as it may close a cluster, which takes seconds.
        self._clusters.release(self._profile.pool(handle.definition))

    def _end_threads(self) -> None:
        """End the schedule and the threads; stages that never began end as stopped."""
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        self._schedule.close(_STOP_TIMEOUT_S)
        with self._lock:
            pools = list(self._threads.values())
        for threads in pools:
            threads.close()
        for threads in pools:
            threads.join(max(0.0, deadline - time.monotonic()))
        for handle in self.handles:
            if not handle.future.done():
                self._end(handle, StoppedError("the run was stopped"))

    def _tell(
        self, handle: StageHandle, kind: EventKind, done: int = 0, total: int = 0, message: str = ""
    ) -> None:
        with self._lock:
            event = StageEvent(handle.name, kind, done, total, message, handle.verdict)
            self._on_event(event)

    def _references(self) -> RunReferences:
        with self._lock:
            if self._noted is None:
                run = self._run_name or flow_run.name or "run"
                self._noted = RunReferences(self._store.layout, run, lambda: self.handles)
            return self._noted

    def _is_ours(self, error: BaseException) -> bool:
        return any(error is handle.error for handle in self.handles)
