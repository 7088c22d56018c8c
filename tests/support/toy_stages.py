"""The toy core as stages: their configurations, and the Prefect tasks that make them."""

from __future__ import annotations

from dataclasses import dataclass

from qsm_core.store.spec import StageDefinition
from tasks.stage_task import Stage, Traits
from tasks.workers.call import Receipt, StageCall

_MISBEHAVIOUR = ("log", "die_at", "fail", "failures", "seconds", "say")


@dataclass(frozen=True)
class CountConfig:
    """How far to count."""

    n: int


@dataclass(frozen=True)
class TotalConfig:
    """What to add to the sum, and what to note beside it."""

    plus: int = 0
    note: str = ""


def count(call: StageCall) -> Receipt:
    """Count to n."""
    return call.run()


def total(call: StageCall) -> Receipt:
    """Add up the inputs."""
    return call.run()


def count_stage(package: str) -> Stage:
    """Return the stage that counts, of a copy of the toy core."""
    definition = StageDefinition("count", 1, f"{package}.count", ("numpy",))
    return Stage(count, definition, Traits(CountConfig, runtime=_MISBEHAVIOUR))


def total_stage(package: str) -> Stage:
    """Return the stage that adds up, of a copy of the toy core."""
    definition = StageDefinition("total", 1, f"{package}.total")
    return Stage(total, definition, Traits(TotalConfig))
