"""`@stage` makes a named Prefect task of a stage of the core.

    @stage(entry="qsm_core.training.lora", config=LoraTraining, resource="gpu", libraries=MODEL)
    def train_lora(call: StageCall) -> Receipt:
        \"\"\"Fine-tune LoRA on the train split; keep the adapter that is best on dev.\"\"\"
        return call.run()

What the function is called is the name of the stage: in the store, in Prefect, in cluster profiles.
The decorator's arguments say what its key rests on, what it needs, and all that plans and workers
have to know of it; nothing else in `tasks` knows a stage by its name.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import Task, exponential_backoff

from qsm_core.errors import InterruptedStageError, SpecError, is_transient
from qsm_core.stage.workload import UNCOUNTED, PlannedInput, Work
from qsm_core.store.spec import Resource, StageDefinition
from tasks.workers.call import Receipt, StageCall
from tasks.workers.secrets import SecretSource

# Names in the runtime that the mechanism itself sets, for every stage.
_RUNTIME = ("threads", "subprocess", "timeout_s")
# Outputs in which a part of a stage's work may already be: folders, for a stage with shards.
PARTS = "parts"
_FIRST_DELAY_S = 2.0

CountWork = Callable[[Any, Mapping[str, PlannedInput]], Work]
# Of the configuration, the paths of the inputs, and the outputs that hold parts of the work.
IsComplete = Callable[[Any, Mapping[str, Path], Sequence[Path]], bool]
# The same, and how many shards are wanted.
Split = Callable[[Any, Mapping[str, Path], Sequence[Path], int], Sequence[object]]


def _count_one(_config: object, _inputs: Mapping[str, PlannedInput]) -> Work:
    return UNCOUNTED


@dataclass(frozen=True)
class Sharding:
    """How the work of a stage is spread over stages of its own, and found again in other outputs.

    The key of the stage does not know of shards: their number changes no result. Shards are made
    when the stage's output is not there; the stage then takes its parts from them, and from any
    other output that holds the same parts.

    Args:
        by: The stage that does one share.
        split: Returns the configuration of each share; empty: one worker does it all.
        answers: Module whose code, with the libraries of `by`, decides the parts.
        ignored: Fields of both configurations that change no part.
        is_complete: Says whether nothing is left to do.
        ignored_inputs: Inputs that say which parts there are and change none of them; the stage
            itself compares what its parts were made of, and `is_complete` must be given.
    """

    by: Stage
    split: Split
    answers: str
    ignored: frozenset[str] = frozenset()
    is_complete: IsComplete | None = None
    ignored_inputs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Traits:
    """What plans and workers have to know of a stage beside its definition.

    Args:
        config: Its frozen dataclass.
        runtime: Names in the runtime that the stage reads; they change no result.
        work: Counts how much it has to do.
        done: Field of its summary that says how much it did, in the units of `work`; None where
            work is not counted.
        sharding: How others can do its work, if they can.
        page: Page of markdown that it leaves in its output, shown while it runs.
        secret: The key that it may need.
    """

    config: type
    runtime: tuple[str, ...] = ()
    work: CountWork = _count_one
    done: str | None = None
    sharding: Sharding | None = None
    page: str | None = None
    secret: SecretSource | None = None

    @property
    def runtime_names(self) -> frozenset[str]:
        """Every name that may be in the runtime of the stage."""
        more = (PARTS,) if self.sharding is not None else ()
        secret = ("secret",) if self.secret is not None else ()
        return frozenset({*_RUNTIME, *self.runtime, *more, *secret})


@dataclass
class StageKeyPolicy(CachePolicy):
    """The key of the stage is the key of the task: the same work is `Cached` in any run."""

    def compute_key(
        self,
        task_ctx: TaskRunContext,  # noqa: ARG002
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002
        **_: Any,
    ) -> str:
        """Return the name of Prefect's record of this stage."""
        return str(inputs["call"].record)


def another_try_can_help(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001
    """Say whether the error of a failed attempt may be gone on the next one, in this process."""
    error = state.data
    if not isinstance(error, BaseException) or isinstance(error, InterruptedStageError):
        return False
    return is_transient(error)


class Stage(Task[[StageCall], Receipt]):
    """A Prefect task that makes the outputs of one stage; see `stage`."""

    def __init__(
        self,
        function: Callable[[StageCall], Receipt],
        definition: StageDefinition,
        traits: Traits,
        *,
        retries: int = 2,
        retry_delay_s: float = _FIRST_DELAY_S,
    ) -> None:
        """Make the task.

        Args:
            function: Of one `StageCall`.
            definition: What the key of the stage rests on, and what it needs.
            traits: What plans and workers have to know.
            retries: Further attempts in the same process, after an error that may be gone then.
            retry_delay_s: Seconds before the first of them; it doubles each time.
        """
        super().__init__(
            fn=function,
            name=definition.name,
            description=inspect.getdoc(function),
            tags={"qsm", definition.name, definition.resource},
            cache_policy=StageKeyPolicy(),
            persist_result=True,
            result_serializer="json",
            cache_result_in_memory=False,
            retries=retries,
            retry_delay_seconds=exponential_backoff(retry_delay_s),
            retry_condition_fn=another_try_can_help,
        )
        self.definition = definition
        self.traits = traits


def stage(
    *,
    entry: str,
    config: type,
    schema: int = 1,
    libraries: tuple[str, ...] = (),
    package_data: tuple[str, ...] = (),
    resource: Resource = "cpu",
    walltime: str | None = None,
    memory: str | None = None,
    retries: int = 2,
    retry_delay_s: float = _FIRST_DELAY_S,
    runtime: tuple[str, ...] = (),
    work: CountWork = _count_one,
    done: str | None = None,
    sharding: Sharding | None = None,
    page: str | None = None,
    secret: SecretSource | None = None,
) -> Callable[[Callable[[StageCall], Receipt]], Stage]:
    """Decorate a function of one `StageCall`: it becomes the stage of its name.

    Args:
        entry: Module with `run(context) -> dict`, such as "qsm_core.training.lora".
        config: Frozen dataclass of what changes the output.
        schema: Version of the output's form; raise it to make every older output unfit.
        libraries: Distributions whose version changes numbers.
        package_data: Files that the code reads from its package; see `StageDefinition`.
        resource: What the work needs; the cluster profile maps it to workers.
        walltime: Longest time of a job, as `HH:MM:SS`, instead of that of the resource class.
        memory: Memory of a job, as `48G`, instead of that of the resource class.
        retries: Further attempts in the same process, after an error that may be gone then.
        retry_delay_s: Seconds before the first of them; it doubles each time.
        runtime: Names in the runtime that the stage reads.
        work: Counts how much it has to do, for plans and estimates.
        done: Field of the summary that says how much it did.
        sharding: How its work is spread over further stages.
        page: Page of markdown that it leaves in its output and shows while it runs.
        secret: The key that it may need.

    Raises:
        SpecError: Another stage has the same name.
    """

    def decorate(function: Callable[[StageCall], Receipt]) -> Stage:
        definition = StageDefinition(
            name=function.__name__,
            schema=schema,
            entry=entry,
            libraries=libraries,
            resource=resource,
            package_data=package_data,
            walltime=walltime,
            memory=memory,
        )
        traits = Traits(config, runtime, work, done, sharding, page, secret)
        made = Stage(function, definition, traits, retries=retries, retry_delay_s=retry_delay_s)
        _register(made)
        return made

    return decorate


_STAGES: dict[str, Stage] = {}


def _register(made: Stage) -> None:
    known = _STAGES.get(made.name)
    if known is not None and known.definition.entry != made.definition.entry:
        raise SpecError(
            f"two stages are called {made.name!r}, one of {known.definition.entry} and one of "
            f"{made.definition.entry}: the name is a folder of the store, so rename one"
        )
    _STAGES[made.name] = made


def declared_stages() -> Mapping[str, Stage]:
    """Return the stages that this process has imported so far, by name."""
    return dict(_STAGES)


def all_stages() -> Mapping[str, Stage]:
    """Return every stage by name: those of the modules in `tasks`, and others declared so far."""
    import tasks

    for module in pkgutil.iter_modules(tasks.__path__):
        if not module.ispkg:
            importlib.import_module(f"tasks.{module.name}")
    return declared_stages()
