"""Run the stages of a flow: reuse what is there, queue what is not, in the order of their inputs.

    with StageRunner(store, profile) as runner:
        corpus = runner.submit(PREPARE, name="corpus", config={...}, inputs={"source": source})
        baseline = runner.submit(EVALUATE, name="baseline", config={...}, inputs={"corpus": corpus})
        print(baseline.result().summary)

A stage whose output is in the store is not queued: its Prefect task is called in the flow
process and ends as `Cached`. The others go to the workers of the profile, independent ones side
by side. When one fails, those that need it are not started, the others finish, and the block
ends with one StageError that says what to do.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent import futures
from contextvars import copy_context
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prefect.runtime import flow_run

from qsm_core.errors import QsmError, StageError
from qsm_core.store.canonical import to_json
from qsm_core.store.disk import full_disk_error, is_full_disk
from qsm_core.store.layout import WorkFolder
from qsm_core.store.spec import StageDefinition, StageInput, StageSpec, build_spec
from qsm_core.store.store import StageOutput, Store
from tasks.definitions import SHARD_OF
from tasks.plan.estimates import Estimator
from tasks.plan.outlook import look_ahead
from tasks.run.events import EventKind, OnEvent, StageEvent, ignore_event
from tasks.run.handle import (
    NotMadeError,
    OutputPart,
    PlannedStage,
    StageHandle,
    StoppedError,
    input_of,
)
from tasks.run.order import give_way
from tasks.run.references import RunReferences
from tasks.run.spreading import EvaluationShards, KnownAnswers
from tasks.run.submission import Submission
from tasks.workers.clusters import Clusters
from tasks.workers.resources import ResourceProfile
from tasks.workers.slurm.jobs import Job

_STOP_TIMEOUT_S = 20.0
# What a stage ends with when its cluster is closed under it.
_STOPPED = (StoppedError, futures.CancelledError, asyncio.CancelledError)


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
    ) -> None:
        """Prepare a run.

        Args:
            store: Where outputs are.
            profile: Where stages run.
            on_event: Is told what happens, one call at a time, from several threads.
            run_name: The outputs that a run refers to are noted under its name, so that they
                are not pruned. Default: the name of the flow run.
            plan_only: Decide what would be reused and what would run, and make nothing.
        """
        self._store = store
        self._profile = profile
        self._on_event = on_event
        self._run_name = run_name
        self._plan_only = plan_only
        self._began_ns = time.time_ns()
        self._clusters = Clusters()
        self._handles: list[StageHandle] = []
        self._threads: dict[str, threading.Thread] = {}
        self._by_key: dict[str, StageHandle] = {}
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
            deadline = time.monotonic() + _STOP_TIMEOUT_S
            for thread in self._threads.values():
                thread.join(max(0.0, deadline - time.monotonic()))
        if not stopped:
            self._raise_failures()
        if not stopped and not self._plan_only:
            self._references().complete()

    def submit(
        self,
        definition: StageDefinition,
        *,
        name: str,
        config: Mapping[str, Any],
        inputs: Mapping[str, StageInput | StageHandle | OutputPart] | None = None,
        runtime: Mapping[str, Any] | None = None,
        force: bool = False,
        spread: EvaluationShards | None = None,
    ) -> StageHandle:
        """Declare a stage. Work begins with the first `result`, `wait` or the end of the block.

        Everything that can make a key impossible is checked here, before anything is queued.

        Args:
            definition: What kind of stage it is.
            name: What this run calls it; shown everywhere.
            config: JSON values that change the output.
            inputs: By name, contents that exist, or the handles of stages that make them, or one
                part of what such a stage makes.
            runtime: What changes no result: batch_size, device, threads, subprocess, timeout_s.
            force: Make it again although it is there.
            spread: How the work is spread over stages of its own, where it has to be done.

        Raises:
            SpecError: The key cannot be computed.
            StageError: The name is taken, or an input belongs to another runner.
        """
        pool = self._profile.pool(definition)
        handle = StageHandle(
            name=name,
            definition=definition,
            config=config,
            inputs=dict(inputs or {}),
            runtime={**pool.runtime, **(runtime or {})},
            force=force,
            start=self.start,
            spread=spread,
        )
        self._check(handle)
        with self._lock:
            self._handles.append(handle)
            if self._started:
                self._start(handle)
        return handle

    def result(self, handle: StageHandle) -> StageOutput:
        """Return the output of a stage, as `handle.result()` does."""
        return handle.result()

    def start(self) -> None:
        """Let everything that was submitted begin."""
        with self._lock:
            self._started = True
            for handle in self._handles:
                self._start(handle)

    def wait(self) -> None:
        """Wait until every submitted stage has finished, failed or turned out impossible."""
        self.start()
        for handle in list(self._handles):
            handle.future.exception()

    def plan(self) -> tuple[PlannedStage, ...]:
        """Return what happens to each stage, in the order of submission, once that is decided."""
        self.wait()
        estimator = Estimator(self._store)
        return tuple(
            look_ahead(handle, self._profile.pool(handle.definition), estimator)
            for handle in self._handles
        )

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Every job that was submitted to a cluster for this run; empty on one machine."""
        return self._clusters.jobs

    @property
    def handles(self) -> tuple[StageHandle, ...]:
        """Every stage that was submitted."""
        return tuple(self._handles)

    def _check(self, handle: StageHandle) -> None:
        """Refuse what cannot work, before anything is queued."""
        known = {other.name for other in self._handles}
        if handle.name in known:
            raise StageError(f"two stages are called {handle.name!r}; names are unique in a run")
        strangers = [needed.name for needed in handle.needs if needed not in self._handles]
        if strangers:
            raise StageError(f"{handle.name} needs {strangers}, which another runner has")
        to_json(handle.runtime, f"{handle.name}: runtime")
        ready = {
            name: value for name, value in handle.inputs.items() if isinstance(value, StageInput)
        }
        build_spec(handle.definition, handle.config, ready)

    def _start(self, handle: StageHandle) -> None:
        if handle.name in self._threads:
            return
        self._clusters.want(self._profile.pool(handle.definition))
        # Prefect finds the flow run in context variables, which a thread does not inherit.
        thread = threading.Thread(
            target=copy_context().run,
            args=(self._coordinate, handle),
            name=f"stage {handle.name}",
            daemon=True,
        )
        self._threads[handle.name] = thread
        thread.start()

    def _coordinate(self, handle: StageHandle) -> None:
        """Bring one stage to its end. Whatever happens, its future is resolved."""
        try:
            output = self._make(handle, self._wait_for_inputs(handle))
        except NotMadeError as error:
            handle.future.set_exception(error)
        except BaseException as error:  # noqa: BLE001  (told to whoever waits for the stage)
            told = self._in_words(error)
            failure = StageError(f"stage {handle.name} failed: {told}")
            failure.__cause__ = error
            handle.future.set_exception(failure)
            kind: EventKind = "stopped" if isinstance(error, _STOPPED) else "failed"
            self._tell(handle, kind, message=told)
        else:
            handle.future.set_result(output)
        finally:
            handle.decided.set()
            self._clusters.release(self._profile.pool(handle.definition))

    def _in_words(self, error: BaseException) -> str:
        """Return the text of an error; where the disk is full, say what to do."""
        if isinstance(error, _STOPPED):
            return "the run was stopped"
        if is_full_disk(error) and not isinstance(error, QsmError):
            layout = self._store.layout
            return str(full_disk_error(error, root=layout.root, work=layout.works))
        return str(error)

    def _wait_for_inputs(self, handle: StageHandle) -> dict[str, StageInput]:
        """Return the inputs with their content digests, once they are there."""
        self._wait_for(handle, handle.needs)
        give_way(self._handles[: self._handles.index(handle)])
        return {name: input_of(value) for name, value in handle.inputs.items()}

    def _wait_for(self, handle: StageHandle, needs: Sequence[StageHandle]) -> None:
        """Wait until other stages have their outputs.

        Raises:
            NotMadeError: One of them has none.
        """
        if any(not needed.future.done() for needed in needs):
            self._tell(handle, "waiting", message=", ".join(one.name for one in needs))
        missing = [needed.name for needed in needs if needed.future.exception()]
        if missing:
            handle.waits_for = tuple(missing)
            raise NotMadeError(f"stage {handle.name} was not started: {', '.join(missing)} failed")

    def _make(self, handle: StageHandle, inputs: dict[str, StageInput]) -> StageOutput:
        """Reuse the output of a stage or have it made."""
        spec = build_spec(handle.definition, handle.config, inputs)
        twin = self._twin(spec.key, handle)
        if twin is not None:
            handle.decided.set()
            self._tell(handle, "waiting", message=f"{twin.name}, which is the same work")
            twin.future.exception()
        verdict, output = self._store.decide(
            spec, force=handle.force and twin is None, before_ns=self._began_ns
        )
        handle.spec, handle.verdict = spec, verdict
        handle.decided.set()
        if output is None and handle.spread is not None:
            self._spread(handle, handle.spread, spec, inputs)
        if self._plan_only and output is None:
            self._store.announce(spec)
            raise NotMadeError(f"stage {handle.name} was only planned")
        if self._plan_only and output is not None:
            return output
        self._references().note()
        pool = self._profile.pool(handle.definition)
        submission = Submission(self._store, handle, spec, verdict, inputs, self._tell)
        if output is not None:
            submission.show_reused()
            self._tell(handle, "reused", message=verdict.sentence)
            return output
        made = submission.run(self._clusters, pool)
        self._tell(handle, "finished", message=str(made.path))
        return made

    def _spread(
        self,
        handle: StageHandle,
        spread: EvaluationShards,
        spec: StageSpec,
        inputs: dict[str, StageInput],
    ) -> None:
        """Have the work of a stage done by shards, as far as it is not done; wait for them."""
        known = KnownAnswers() if handle.force else spread.known(self._store, spec, inputs)
        folders = list(known.folders)
        if not known.complete:
            configs = spread.configs(handle.config, inputs)
            handle.shards = tuple(
                self._submit_shard(handle, config, folders, f"shard{number}of{len(configs)}")
                for number, config in enumerate(configs, start=1)
            )
        if known.complete or handle.shards:  # what is left needs no GPU
            self._move(handle, replace(handle.definition, resource="cpu"))
        if not self._plan_only:
            self._wait_for(handle, handle.shards)
            folders += [shard.result().path for shard in handle.shards]
            handle.runtime = {**handle.runtime, "scored": [str(folder) for folder in folders]}

    def _submit_shard(
        self, handle: StageHandle, config: dict[str, Any], known: list[Path], name: str
    ) -> StageHandle:
        """Submit a shard of a stage; it stands before the stage wherever stages are listed."""
        shard = self.submit(
            SHARD_OF[handle.definition.name],
            name=f"{handle.name}_{name}",
            config=config,
            inputs=handle.inputs,
            runtime={**handle.runtime, "scored": [str(folder) for folder in known]},
            force=handle.force,
        )
        with self._lock:
            self._handles.remove(shard)
            self._handles.insert(self._handles.index(handle), shard)
        return shard

    def _move(self, handle: StageHandle, definition: StageDefinition) -> None:
        """Let a stage run on the pool of another resource class."""
        before, handle.definition = handle.definition, definition
        self._clusters.want(self._profile.pool(definition))
        self._clusters.release(self._profile.pool(before))

    def _twin(self, key: str, handle: StageHandle) -> StageHandle | None:
        """Return the stage of this run that came first with the same key, if there is one."""
        with self._lock:
            first = self._by_key.setdefault(key, handle)
        return None if first is handle else first

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
                self._noted = RunReferences(self._store.layout, run, self._handles)
            return self._noted

    def _is_ours(self, error: BaseException) -> bool:
        return any(error is handle.error for handle in self._handles)

    def _raise_failures(self) -> None:
        """Raise one error for all stages that failed, if any did."""
        errors = [handle for handle in self._handles if handle.error is not None]
        failed = [one for one in errors if not isinstance(one.error, NotMadeError)]
        if not failed:
            return
        idle = [one.name for one in errors if one not in failed]
        told = [f"  - {self._told(one)}" for one in failed]
        rest = f", {len(idle)} not started ({', '.join(idle)})" if idle else ""
        done = len(self._handles) - len(errors)
        raise StageError(
            f"{len(failed)} of {len(self._handles)} stages failed, {done} finished{rest}:\n"
            + "\n".join(told)
            + "\nMend the cause and run the same again: what is finished is reused, and "
            "unfinished work is continued where it stopped."
        ) from None

    def _told(self, handle: StageHandle) -> str:
        """Return why a stage failed, as an item of a list, and where its traceback is."""
        text = str(handle.error).replace("\n", "\n    ")
        if handle.spec is None:
            return text
        place = WorkFolder(self._store.layout.work(handle.spec.stage, handle.spec.key)).error
        return f"{text}\n    (traceback: {place})" if place.exists() else text
